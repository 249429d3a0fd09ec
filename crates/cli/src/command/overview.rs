//! What `hull` alone says.

pub(super) const TEXT: &str = "\
Usage: hull [--root DIR] COMMAND

Run containers: an application with all its files, isolated by the kernel.

Try it:
  hull run --rm hello       the image in hull itself tells what isolates it

Containers:
  hull run                  run a command in a new container; -d leaves it alone
  hull create, start        the same in two steps, and again
  hull stop, kill, restart  end it, or send it a signal
  hull pause, unpause       freeze all its processes, and let them go on
  hull exec                 one more process in it
  hull attach, wait         share its streams; hear its end
  hull logs                 what it wrote
  hull top, stats           its processes; what it uses
  hull ps                   list containers
  hull inspect              everything about a container or an image, as JSON
  hull rename, update       another name, other limits
  hull explain              what isolates it, and what does not
  hull cp, export           files in and out; all of them as a tar stream
  hull diff                 what a container changed in its files
  hull rm                   remove containers
  hull container prune      remove all containers that have ended

Images:
  hull import               make an image of a root file system's tar
  hull load                 load images of docker and OCI archives
  hull images               list images
  hull tag                  give an image a name
  hull history              how an image was made
  hull rmi                  remove images
  hull image inspect        everything about an image, as JSON
  hull image prune          remove images without a name

Host:
  hull doctor               what this host cannot isolate, and what mends it
  hull system info          what this host can isolate
  hull events               what happens, as it happens
  hull system df            what is kept, to the byte
  hull system prune         remove what nobody uses
  hull system check         look for what a crash left, and mend it
  hull completion           a shell's script that completes all this
  hull system man           manual pages
  hull version              the version

`hull COMMAND --help` tells more. docker's names work, too: `hull image ls`,
`hull container rm`, … HULL_ROOT, or --root, moves everything hull keeps.
";
