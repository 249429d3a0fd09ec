//! Go templates, as far as docker's --format uses them.
