//! Memory that is not needed any more.

/// Gives the kernel back what the heap has free and what the stack was once deep: for a process that has done its
/// work and waits for long. This thread must be the only one.
pub fn give_back() {
    // SAFETY: no arguments that could be wrong; the allocator knows what is free.
    unsafe { libc::malloc_trim(0) };
    let here = 0_u8;
    let top = (&raw const here).addr();
    // What is called from here has its frames below, for a while.
    const IN_USE: usize = 16 << 10;
    let Some((first, last)) = mapping_of(top) else { return };
    let end = top.saturating_sub(IN_USE) & !0xFFF;
    if first >= end || end > last {
        return;
    }
    // SAFETY: below the frames of this thread nothing is alive; pages of zeros take the place of what is there.
    unsafe { libc::madvise(std::ptr::without_provenance_mut(first), end - first, libc::MADV_DONTNEED) };
}

/// The mapping in which an address of the stack is, see proc_pid_maps(5).
fn mapping_of(address: usize) -> Option<(usize, usize)> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let range = |line: &str| {
        let (first, last) = line.strip_suffix("[stack]")?.split_whitespace().next()?.split_once('-')?;
        Some((usize::from_str_radix(first, 16).ok()?, usize::from_str_radix(last, 16).ok()?))
    };
    maps.lines().filter_map(range).find(|(first, last)| (*first..*last).contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn deep(depth: u32) -> u64 {
        let page = std::hint::black_box([depth as u8; 4096]);
        if depth == 0 { 0 } else { deep(depth - 1) + u64::from(page[17]) }
    }

    /// In a process of its own: a test's thread has no `[stack]`.
    #[test]
    fn a_deep_stack_is_given_back_and_can_be_used_again() {
        // SAFETY: the child only computes, reads files and exits; no other thread of it is in the allocator.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let before = deep(64);
            give_back();
            crate::process::exit_now(i32::from(deep(64) != before));
        }
        let pid = rustix::process::Pid::from_raw(pid);
        let (_, status) =
            rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0));
    }
}
