//! Benchmarks: hull and its peers side by side in one go, as ratios.
//!
//! Every command is timed from the outside, from fork to its end as the parent sees it. Runs are interleaved, so
//! that whatever else the machine does falls on all of them alike.

use crate::shell::{Done, cargo, has, must, output, release_hull as hull, root};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where everything is made, and removed at the end.
const WORK: &str = "/var/tmp/hull-bench";

/// Runs of each contender.
const RUNS: usize = 60;

/// One command, timed.
struct Contender {
    name: String,
    command: Box<dyn Fn() -> Command>,
}

impl Contender {
    fn new(name: &str, command: impl Fn() -> Command + 'static) -> Self {
        Self { name: name.to_owned(), command: Box::new(command) }
    }

    fn time(&self) -> Result<f64, String> {
        let mut command = (self.command)();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status().map_err(|error| format!("{}: {error}", self.name))?;
        let time = start.elapsed().as_secs_f64() * 1e3;
        if status.success() { Ok(time) } else { Err(format!("{} failed: {status}", self.name)) }
    }
}

/// Where the report grows.
struct Report(String);

impl Report {
    /// Interleaved runs; medians, minima, and each contender's ratio to the first.
    fn compare(&mut self, title: &str, contenders: &[Contender], runs: usize, pause: Duration) -> Done {
        let mut times = vec![Vec::new(); contenders.len()];
        for round in 0..runs + 2 {
            for (contender, times) in contenders.iter().zip(&mut times) {
                std::thread::sleep(pause);
                let time = contender.time()?;
                if round >= 2 {
                    times.push(time);
                }
            }
        }
        let _ = writeln!(self.0, "\n### {title}\n\n| | median ms | min ms | hull / it |\n|---|---|---|---|");
        let first = median(&mut times[0]);
        for (contender, times) in contenders.iter().zip(&mut times) {
            let median = median(times);
            let _ = writeln!(
                self.0,
                "| {} | {median:.2} | {:.2} | {:.2} |",
                contender.name,
                times[0],
                first / median
            );
        }
        eprint!("{}", self.0.rsplit("\n### ").next().unwrap_or_default());
        Ok(())
    }

    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
        eprintln!("{text}");
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// `bench` all, or `bench run`, `bench load`, `bench scale`.
pub(crate) fn run(names: &[String]) -> Done {
    must(&mut cargo(&["build", "--release", "--quiet", "--package", "hull"]))?;
    let _ = std::fs::remove_dir_all(WORK);
    std::fs::create_dir_all(WORK).map_err(|error| error.to_string())?;
    let mut report = Report(heading());
    let wanted = |name: &str| names.is_empty() || names.iter().any(|one| one == name);
    prepare()?;
    if wanted("run") {
        starts(&mut report)?;
    }
    if wanted("scale") {
        scale(&mut report)?;
    }
    if wanted("load") {
        loads(&mut report)?;
    }
    if wanted("cost") {
        costs(&mut report)?;
    }
    if names.is_empty() {
        let file = root().join("bench/RESULTS.md");
        std::fs::create_dir_all(root().join("bench"))
            .and_then(|()| std::fs::write(file, &report.0))
            .map_err(|error| error.to_string())?;
    }
    let _ = std::fs::remove_dir_all(WORK);
    Ok(())
}

fn heading() -> String {
    let first = |text: Option<String>| text.unwrap_or_default().lines().next().unwrap_or("absent").to_owned();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("?").to_owned();
    let version = |program: &str| first(output(Command::new(program).arg("--version")));
    format!(
        "# Results\n\nMade by `cargo xtask bench`; never edited by hand. {cpu}, {} CPUs, Linux {}; state on {}.\nPeers: {}; {}; {}.\n\
         Medians of interleaved runs, in milliseconds of wall time from fork to end.\n",
        std::thread::available_parallelism().map_or(0, usize::from),
        first(output(Command::new("uname").arg("-r"))),
        first(output(Command::new("stat").args(["-f", "-c", "%T", "/var/tmp"]))),
        version("crun"),
        version("runc"),
        version("podman"),
    )
}

fn hull_in(store: &str, args: &[&str]) -> Command {
    let mut command = Command::new(hull());
    command.arg("--root").arg(Path::new(WORK).join(store)).args(args);
    command
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).current_dir(WORK);
    command
}

/// A busybox image for hull, a bundle for crun and runc.
fn prepare() -> Done {
    must(&mut shell(
        "mkdir -p bundle/rootfs/bin && cp /bin/busybox bundle/rootfs/bin/ && for n in sh true sleep; do ln -sf busybox bundle/rootfs/bin/$n; done \
         && tar -C bundle/rootfs -cf bb.tar . && mkdir -p bundle/rootfs/proc bundle/rootfs/sys bundle/rootfs/dev",
    ))?;
    must(&mut hull_in("store", &["import", "-c", "ENV PATH=/bin", &format!("{WORK}/bb.tar"), "bb"]))?;
    if has("crun") {
        must(&mut shell(
            "cd bundle && rm -f config.json && crun spec && sed -i 's/\"terminal\": true/\"terminal\": false/; s/\"sh\"/\"true\"/' config.json",
        ))?;
    }
    Ok(())
}

/// crun refuses a hybrid host: it is given a tmpfs where cgroup2 is, in a mount namespace of its own, once for all.
fn in_namespace(script: &str) -> Command {
    let hybrid = Path::new("/sys/fs/cgroup/unified").exists();
    let prefix = if hybrid { "mount -t tmpfs none /sys/fs/cgroup/unified; " } else { "" };
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &format!("{prefix}{script}")]).current_dir(WORK);
    command
}

fn starts(report: &mut Report) -> Done {
    let run = || {
        Contender::new("`hull run --rm --network none bb true`", || {
            hull_in("store", &["run", "--rm", "--network", "none", "bb", "true"])
        })
    };
    let mut peers = vec![run()];
    let floor = root().join("../shared/floor/floor.c");
    if has("cc") && floor.exists() {
        must(Command::new("cc").args(["-O2", "-static", "-o"]).arg(format!("{WORK}/floor")).arg(floor))?;
        peers.push(Contender::new("the kernel's floor (`floor -u -n own -l 5 -g -s`)", || {
            let mut command = Command::new(format!("{WORK}/floor"));
            command.args([
                "-u",
                "-n",
                "own",
                "-l",
                "5",
                "-g",
                "-s",
                "--",
                &format!("{WORK}/fl"),
                "/bin/true",
            ]);
            command
        }));
    } else {
        report.line("SKIP: no C compiler or no floor.c: the floor is not measured");
    }
    for (name, pause) in [("Start to end, back to back", 0), ("Start to end, 20 ms pause before each", 20)] {
        report.compare(name, &peers, RUNS, Duration::from_millis(pause))?;
        runtimes(report, pause)?;
    }
    Ok(())
}

/// crun and runc inside their namespace: a loop there is timed by its own clock, hull's beside it in turn.
fn runtimes(report: &mut Report, pause: u64) -> Done {
    for runtime in ["crun", "runc"].into_iter().filter(|runtime| has(runtime)) {
        let program = format!(
            "import subprocess,time,sys\n\
             def t(c):\n  time.sleep({pause}/1000); s=time.perf_counter(); subprocess.run(c,stdin=-3,stdout=-3,stderr=-3,check=True); return (time.perf_counter()-s)*1e3\n\
             h={:?}.split('|'); r=['{runtime}','run','--bundle','bundle','bench']\n\
             a=[];b=[]\n\
             for i in range({}):\n  x=t(h); y=t(r)\n  if i>1: a.append(x); b.append(y)\n\
             a.sort(); b.sort(); m=len(a)//2\n\
             print(f'| hull, beside {runtime} | {{a[m]:.2f}} | {{a[0]:.2f}} | 1.00 |\\n| `{runtime} run` of a prepared bundle | {{b[m]:.2f}} | {{b[0]:.2f}} | {{a[m]/b[m]:.2f}} |')",
            [
                hull().display().to_string(),
                "--root".into(),
                format!("{WORK}/store"),
                "run".into(),
                "--rm".into(),
                "--network".into(),
                "none".into(),
                "bb".into(),
                "true".into()
            ]
            .join("|"),
            RUNS + 2
        );
        let file = format!("{WORK}/beside.py");
        std::fs::write(&file, program).map_err(|error| error.to_string())?;
        match output(&mut in_namespace(&format!("exec python3 {file}"))) {
            Some(rows) => report.line(rows.trim_end()),
            None => report.line(&format!("SKIP: {runtime} does not run here")),
        }
    }
    Ok(())
}

/// Does a full store slow a start?
fn scale(report: &mut Report) -> Done {
    must(&mut shell(&format!(
        "for i in $(seq 39); do echo $i > f$i; tar -cf l$i.tar f$i; rm f$i; done; python3 - <<'E'\n{}\nE",
        "import json,hashlib,tarfile,io\nls=['bb.tar']+[f'l{i}.tar' for i in range(1,40)]\nd=['sha256:'+hashlib.sha256(open(l,'rb').read()).hexdigest() for l in ls]\nc=json.dumps({'architecture':'amd64','os':'linux','config':{'Env':['PATH=/bin'],'Cmd':['sh']},'rootfs':{'type':'layers','diff_ids':d}}).encode()\nt=tarfile.open('many.tar','w')\nfor l in ls: t.add(l)\ndef a(n,b):\n i=tarfile.TarInfo(n); i.size=len(b); t.addfile(i,io.BytesIO(b))\na('c.json',c); a('manifest.json',json.dumps([{'Config':'c.json','RepoTags':['many:1'],'Layers':ls}]).encode()); t.close()"
    )))?;
    must(&mut hull_in("full", &["load", "-i", &format!("{WORK}/many.tar")]))?;
    for number in 0..200 {
        let tag = format!("many:t{number}");
        must_quietly(&mut hull_in("full", &["tag", "many:1", &tag]))?;
    }
    for _ in 0..500 {
        must_quietly(&mut hull_in("full", &["run", "many:1", "true"]))?;
    }
    let pair = [
        Contender::new("40 layers, 500 kept containers, 200 names", || {
            hull_in("full", &["run", "--rm", "many:1", "true"])
        }),
        Contender::new("1 layer, empty store", || hull_in("store", &["run", "--rm", "bb", "true"])),
    ];
    report.compare("A full store beside an empty one", &pair, RUNS, Duration::ZERO)
}

fn must_quietly(command: &mut Command) -> Done {
    let done =
        command.stdin(Stdio::null()).stdout(Stdio::null()).status().map_err(|error| error.to_string())?;
    if done.success() { Ok(()) } else { Err(format!("{command:?} failed")) }
}

/// 300 MB in 20,000 files and 8 layers.
fn loads(report: &mut Report) -> Done {
    must(&mut shell(
        "mkdir -p tree && cd tree && for l in 0 1 2 3 4 5 6 7; do mkdir -p $l; python3 -c \"\nimport os\nfor i in range(2500):\n d=f'$l/{i//50}'; os.makedirs(d,exist_ok=True); open(f'{d}/f{i}','wb').write(os.urandom(15000))\n\"; tar -cf ../layer$l.tar $l; done; tar -cf ../whole.tar . && cd .. && rm -rf tree",
    ))?;
    must(&mut shell(
        "python3 - <<'E'\nimport json,hashlib,tarfile,io\nls=[f'layer{i}.tar' for i in range(8)]\nd=['sha256:'+hashlib.sha256(open(l,'rb').read()).hexdigest() for l in ls]\nc=json.dumps({'architecture':'amd64','os':'linux','config':{},'rootfs':{'type':'layers','diff_ids':d}}).encode()\nt=tarfile.open('archive.tar','w')\nfor l in ls: t.add(l)\ndef a(n,b):\n i=tarfile.TarInfo(n); i.size=len(b); t.addfile(i,io.BytesIO(b))\na('c.json',c); a('manifest.json',json.dumps([{'Config':'c.json','RepoTags':['big:1'],'Layers':ls}]).encode()); t.close()\nE",
    ))?;
    let fresh = |script: String| move || shell(&format!("fresh=fresh.$$; {script}"));
    let hull = hull().display().to_string();
    let contenders = [
        Contender::new(
            "`hull load` of 300 MB, 8 layers, flushed",
            fresh(format!("{hull} --root $fresh load -i archive.tar")),
        ),
        Contender::new(
            "`hull import` of the same as one tar, flushed",
            fresh(format!("{hull} --root $fresh import whole.tar")),
        ),
        Contender::new(
            "`tar x` of the same bytes, and sync",
            fresh("mkdir $fresh && tar -C $fresh -xf whole.tar && sync -f $fresh".into()),
        ),
    ];
    report.compare("300 MB, 20,000 files, into an empty store", &contenders, 3, Duration::from_secs(1))
}

/// Memory, and the cost of the filter.
fn costs(report: &mut Report) -> Done {
    report.line("\n### Memory and instructions\n");
    let waiting = format!(
        "{} --root {WORK}/store run --rm bb sleep 1 & sleep 0.5; sed -n 's/^VmHWM:\\s*//p' /proc/$!/status; wait",
        hull().display()
    );
    let peak = output(&mut shell(&waiting)).unwrap_or_default();
    report.line(&format!(
        "- peak resident memory of `hull run`, pages of the binary included: {}",
        peak.trim()
    ));
    let calls = "i=0; while [ $i -lt 300000 ]; do : < /dev/null; i=$((i+1)); done";
    let with = |option: &'static str| {
        Contender::new(option, move || {
            hull_in("store", &["run", "--rm", "--security-opt", option, "bb", "sh", "-c", calls])
        })
    };
    report.compare(
        "A loop of system calls, default filter beside none",
        &[with("seccomp=builtin"), with("seccomp=unconfined")],
        8,
        Duration::ZERO,
    )
}
