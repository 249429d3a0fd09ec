//! `hull-runtime` beside the runtimes that engines use today, with the same bundle.

use super::contest::{Contender, words};
use super::timer::{Job, Timer, Words};
use super::{Bench, Group, WORK};
use crate::shell::{Done, has, quietly, release_hull, sh};
use std::path::Path;

/// State of all of them, where it is by default: below /run.
const STATE: &str = "/run/hull-bench";

/// Containers at once, and in a full list.
const CROWD: usize = 100;
const MANY: usize = 1000;

/// One that is measured.
#[derive(Clone, Copy)]
struct Runtime {
    name: &'static str,
    /// Can it not stand a hybrid tree of groups?
    covered: bool,
}

const RUNTIMES: [Runtime; 3] = [
    Runtime { name: "hull-runtime", covered: false },
    Runtime { name: "crun", covered: true },
    Runtime { name: "runc", covered: true },
];

pub(super) fn group(bench: &Bench) -> Result<String, String> {
    let _state = State::make()?;
    bench.sh(&format!("ln -sf {} hull-runtime", release_hull().display()))?;
    let parts: [(&str, Group); 6] = [
        ("Three commands", three),
        ("run", run),
        ("exec", exec),
        ("docker's configuration", dockers),
        ("a crowd", crowd),
        ("a full list", full),
    ];
    let mut text = String::new();
    for (name, part) in parts {
        text += &part(bench).unwrap_or_else(|why| {
            eprintln!("{name}: {why}");
            format!("\n### {name}\n\nmissing: {why}\n")
        });
    }
    Ok(text + &least_memory(bench)?)
}

/// The directory with everybody's state.
struct State;

impl State {
    fn make() -> Result<Self, String> {
        std::fs::create_dir_all(STATE).map_err(|error| format!("make `{STATE}`: {error}"))?;
        Ok(Self)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for runtime in RUNTIMES {
            let ids = std::fs::read_dir(format!("{STATE}/{}", runtime.name)).into_iter().flatten().flatten();
            let ids: Vec<_> = ids.filter_map(|entry| entry.file_name().into_string().ok()).collect();
            let _ = runtime.once(ids.iter().map(|id| runtime.line(&["delete", "--force", id])).collect());
        }
        let _ = std::fs::remove_dir_all(STATE);
    }
}

impl Runtime {
    fn line(self, args: &[&str]) -> Words {
        let own = format!("{WORK}/hull-runtime");
        let program = if self.name == "hull-runtime" { own.as_str() } else { self.name };
        let mut line = words(&[program, "--root", &format!("{STATE}/{}", self.name)]);
        line.extend(words(args));
        line
    }

    /// A container's name; all of them share the host's groups, and so may not share names.
    fn id(self, id: &str) -> String {
        format!("{}-{id}", self.name)
    }

    fn create(self, id: &str) -> Words {
        self.line(&["create", "--bundle", "bundle", &self.id(id)])
    }

    fn start(self, id: &str) -> Words {
        self.line(&["start", &self.id(id)])
    }

    fn run(self) -> Words {
        self.line(&["run", "--bundle", "bundle", &self.id("one")])
    }

    fn delete(self, id: &str) -> Words {
        self.line(&["delete", "--force", &self.id(id)])
    }

    fn contender(self, job: Job) -> Contender {
        let contender = Contender::doing(self.name, job);
        if self.covered { contender.covered() } else { contender }
    }

    /// Does something that is not measured.
    fn once(self, timed: Vec<Words>) -> Done {
        let timer = if self.covered { Timer::where_crun_works(WORK) } else { Timer::on_host(WORK) };
        timer?.time(&Job { timed, ..Job::default() }).map(drop)
    }
}

/// The runtimes that are installed, each doing its `job`.
fn contenders(names: &[&str], job: impl Fn(Runtime) -> Job) -> Vec<Contender> {
    let there = |runtime: &Runtime| names.contains(&runtime.name) && (!runtime.covered || has(runtime.name));
    RUNTIMES.into_iter().filter(there).map(|runtime| runtime.contender(job(runtime))).collect()
}

const ALL: [&str; 3] = ["hull-runtime", "crun", "runc"];

/// Two, where containers of the third would fill the memory.
const LIGHT: [&str; 2] = ["hull-runtime", "crun"];

fn three(bench: &Bench) -> Result<String, String> {
    bench.spec("true")?;
    let job = |runtime: Runtime| {
        let timed = vec![runtime.create("three"), runtime.start("three"), runtime.delete("three")];
        Job { timed, ..Job::default() }
    };
    bench.contest("create, start, delete (aim: ≤ 0.5 × crun, ≤ 0.15 × runc)", &contenders(&ALL, job))
}

fn run(bench: &Bench) -> Result<String, String> {
    bench.spec("true")?;
    let job = |runtime: Runtime| Job { timed: vec![runtime.run()], ..Job::default() };
    bench.contest("run (aim: ≤ 0.7 × crun, ≤ 0.25 × runc)", &contenders(&ALL, job))
}

fn exec(bench: &Bench) -> Result<String, String> {
    bench.spec("sleep 100000")?;
    for runtime in RUNTIMES.into_iter().filter(|runtime| !runtime.covered || has(runtime.name)) {
        runtime.once(vec![runtime.create("waiting"), runtime.start("waiting")])?;
    }
    let job = |runtime: Runtime| Job {
        timed: vec![runtime.line(&["exec", &runtime.id("waiting"), "true"])],
        ..Job::default()
    };
    let text = bench.contest("exec (aim: ≤ 0.7 × crun, ≤ 0.25 × runc)", &contenders(&ALL, job));
    for runtime in RUNTIMES.into_iter().filter(|runtime| !runtime.covered || has(runtime.name)) {
        runtime.once(vec![runtime.delete("waiting")])?;
    }
    text
}

/// What docker adds to the specification's example: its filter, and limits. The profile is the one that podman and
/// docker share.
const DOCKERS: &str = r#"
import json
c=json.load(open('bundle/config.json')); caps=set(c['process']['capabilities']['bounding'])
p=json.load(open('/usr/share/containers/seccomp.json')); rules=[]
for s in p['syscalls']:
    i,e=s.get('includes') or {},s.get('excludes') or {}
    if i.get('caps') and not set(i['caps'])<=caps or e.get('caps') and set(e['caps'])<=caps: continue
    if i.get('arches') and 'amd64' not in i['arches'] or 'amd64' in (e.get('arches') or []): continue
    r={k:s[k] for k in ('names','action') if k in s}
    if s.get('errnoRet') is not None: r['errnoRet']=s['errnoRet']
    if s.get('args'): r['args']=s['args']
    rules.append(r)
c['linux']['seccomp']={'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':1,
    'architectures':['SCMP_ARCH_X86_64','SCMP_ARCH_X86','SCMP_ARCH_X32'],'syscalls':rules}
r=c['linux'].setdefault('resources',{})
r['memory']={'limit':536870912}; r['pids']={'limit':100}; r['cpu']={'shares':512}
json.dump(c,open('bundle/config.json','w'))
"#;

fn dockers(bench: &Bench) -> Result<String, String> {
    bench.spec("true")?;
    std::fs::write(format!("{WORK}/dockers.py"), DOCKERS).map_err(|error| error.to_string())?;
    bench.sh("python3 dockers.py")?;
    let job = |runtime: Runtime| Job { timed: vec![runtime.run()], ..Job::default() };
    bench.contest("run with docker's filter and limits (aim: ≤ 0.7 × crun)", &contenders(&ALL, job))
}

fn crowd(bench: &Bench) -> Result<String, String> {
    bench.spec("sleep 100000")?;
    let job = |runtime: Runtime| {
        let ids: Vec<_> = (0..bench.crowd(CROWD)).map(|number| format!("crowd{number}")).collect();
        let timed = ids.iter().map(|id| runtime.create(id)).collect();
        let after = ids.iter().map(|id| runtime.delete(id)).collect();
        Job { timed, at_once: true, after, ..Job::default() }
    };
    let title = format!("{} times create at once (aim: ahead)", bench.crowd(CROWD));
    bench.contest_of(&title, bench.rounds_of(20), &contenders(&ALL, job))
}

fn full(bench: &Bench) -> Result<String, String> {
    bench.spec("sleep 100000")?;
    let many = bench.crowd(MANY);
    let crowd = RUNTIMES.into_iter().filter(|runtime| LIGHT.contains(&runtime.name));
    for runtime in crowd.filter(|runtime| !runtime.covered || has(runtime.name)) {
        runtime.once((0..many).map(|number| runtime.create(&format!("many{number}"))).collect())?;
    }
    let doing = |line: fn(Runtime) -> Words| {
        contenders(&LIGHT, move |runtime: Runtime| Job { timed: vec![line(runtime)], ..Job::default() })
    };
    let state = bench.contest(
        &format!("state among {many} containers"),
        &doing(|runtime| runtime.line(&["state", &runtime.id("many5")])),
    )?;
    let list = bench.contest_of(
        &format!("list of {many} containers (aim: ≤ 0.5 × crun)"),
        bench.rounds_of(3),
        &doing(|runtime| runtime.line(&["list", "--format", "json"])),
    )?;
    Ok(state + &list)
}

/// The smallest limit of memory with which `true` still runs.
fn least_memory(bench: &Bench) -> Result<String, String> {
    let mut text =
        String::from("\n### Least memory limit for `true` (aim: ≤ crun)\n\n| | KiB |\n|---|---|\n");
    for runtime in RUNTIMES.into_iter().filter(|runtime| !runtime.covered || has(runtime.name)) {
        let mut least = None;
        for limit in [16384, 8192, 6144, 4096, 3072, 2048, 1536, 1024, 768, 512, 384, 256, 128] {
            bench.spec("true")?;
            limit_memory(limit)?;
            if runtime.once(vec![runtime.run()]).is_err() {
                let _ = runtime.once(vec![runtime.delete("one")]);
                break;
            }
            least = Some(limit);
        }
        let least = least.map_or("none tried was enough".to_owned(), |limit| limit.to_string());
        eprintln!("least memory, {}: {least}", runtime.name);
        text += &format!("| {} | {least} |\n", runtime.name);
    }
    Ok(text)
}

fn limit_memory(kib: u64) -> Done {
    let script = format!(
        "python3 -c \"import json; c=json.load(open('bundle/config.json')); \
         c['linux'].setdefault('resources',{{}})['memory']={{'limit':{kib}*1024,'swap':{kib}*1024}}; json.dump(c,open('bundle/config.json','w'))\""
    );
    quietly(&mut sh(Path::new(WORK), &script))
}
