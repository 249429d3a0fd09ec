//! One handle over cgroup v1, v2 and hybrid.
