//! `user[:group]` and `--group-add`, looked up in the image's passwd and group files.

use super::{Error, Kind, Result};

/// Whom a container's process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id inside.
    pub uid: u32,
    /// Group id inside.
    pub gid: u32,
    /// Supplementary groups: the group itself first as docker has it, then those of the group file
    /// and those added.
    pub groups: Vec<u32>,
    /// Home directory; `/` where passwd has none.
    pub home: String,
}

/// A line of passwd(5).
struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// A line of group(5).
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// Largest id that docker takes.
const LARGEST: u32 = i32::MAX as u32;

/// Looks up `user[:group]` (names or numbers; empty is root) and the groups to add. The files' bytes
/// are `None` where the image has none. A number is never taken as a name, and need not be in the files.
pub fn resolve_user(
    spec: &str,
    added: &[String],
    passwd: Option<&[u8]>,
    group: Option<&[u8]>,
) -> Result<User> {
    let (passwd, group) = (text(passwd), text(group));
    let (who, which) = spec.split_once(':').unwrap_or((spec, ""));
    let account = account(who, &passwd)?;
    let (gid, mut groups) = match which {
        "" => (account.gid, memberships(account.name, &group)),
        _ => (find_group(which, &group)?, Vec::new()),
    };
    groups.insert(0, gid);
    for name in added {
        let gid = find_group(name, &group)?;
        if !groups[1..].contains(&gid) {
            groups.push(gid);
        }
    }
    let home = if account.home.is_empty() { "/" } else { account.home };
    Ok(User { uid: account.uid, gid, groups, home: home.to_string() })
}

/// Names that are no UTF-8 match nothing; the other lines still count.
fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

fn account<'a>(who: &'a str, passwd: &'a str) -> Result<Account<'a>> {
    let wanted = if who.is_empty() { Some(0) } else { number(who)? };
    let is_wanted = |account: &Account<'_>| match wanted {
        Some(uid) => account.uid == uid,
        None => account.name == who,
    };
    match (passwd.lines().filter_map(parse_account).find(is_wanted), wanted) {
        (Some(account), _) => Ok(account),
        (None, Some(uid)) => Ok(Account { name: "", uid, gid: 0, home: "" }),
        (None, None) => {
            let what = format!("unable to find user {who}: no matching entries in passwd file");
            Err(Error::new(Kind::NotFound, what))
        }
    }
}

fn memberships(name: &str, group: &str) -> Vec<u32> {
    let is_in = |one: &Group<'_>| !name.is_empty() && one.members.split(',').any(|member| member == name);
    group.lines().filter_map(parse_group).filter(is_in).map(|one| one.gid).collect()
}

fn find_group(which: &str, group: &str) -> Result<u32> {
    if let Some(gid) = number(which)? {
        return Ok(gid);
    }
    let found = group.lines().filter_map(parse_group).find(|one| one.name == which);
    found.map(|one| one.gid).ok_or_else(|| {
        Error::new(Kind::NotFound, format!("unable to find group {which}: no matching entries in group file"))
    })
}

/// A decimal number in range, or `None` for a name.
fn number(text: &str) -> Result<Option<u32>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let id = text.strip_prefix('+').unwrap_or(text).parse().ok().filter(|id| *id <= LARGEST);
    let what = format!("`{text}`: uids and gids must be in range 0-{LARGEST}");
    id.map(Some).ok_or_else(|| Error::new(Kind::Invalid, what))
}

fn parse_account(line: &str) -> Option<Account<'_>> {
    let mut fields = line.trim().split(':');
    let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let home = fields.nth(1).unwrap_or_default();
    Some(Account { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
}

fn parse_group(line: &str) -> Option<Group<'_>> {
    let mut fields = line.trim().split(':');
    let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Group { name, gid: gid.parse().ok()?, members: fields.next().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# no account\n\ndaemon:x:1:1::/usr/sbin:\n\
        www:x:33:33:www:/var/www:/sbin/nologin\nnohome:x:40:40:::\nbad:x:y:z\nroot:x:7:7::/second:\n\xff\xfe:x:9:9::/:\n";
    const GROUP: &[u8] = b"root:x:0:\nadm:x:4:daemon,www\nvideo:x:44:www\nwww:x:33:\nbroken\n";

    fn find(spec: &str, added: &[&str]) -> Result<User> {
        let added: Vec<String> = added.iter().map(|name| name.to_string()).collect();
        resolve_user(spec, &added, Some(PASSWD), Some(GROUP))
    }

    #[test]
    fn users_and_groups_are_names_or_numbers() {
        for (spec, added, uid, gid, groups, home) in [
            ("", &[][..], 0, 0, &[0][..], "/root"),
            ("root", &[], 0, 0, &[0], "/root"),
            ("www", &[], 33, 33, &[33, 4, 44], "/var/www"),
            ("33", &[], 33, 33, &[33, 4, 44], "/var/www"),
            ("www:adm", &[], 33, 4, &[4], "/var/www"),
            ("www:4", &[], 33, 4, &[4], "/var/www"),
            ("1000", &[], 1000, 0, &[0], "/"),
            ("1000:1000", &[], 1000, 1000, &[1000], "/"),
            (":44", &[], 0, 44, &[44], "/root"),
            ("nohome", &[], 40, 40, &[40], "/"),
            ("www", &["video", "777", "777"], 33, 33, &[33, 4, 44, 777], "/var/www"),
            ("0", &["adm"], 0, 0, &[0, 4], "/root"),
        ] {
            let user = User { uid, gid, groups: groups.to_vec(), home: home.to_string() };
            assert_eq!(find(spec, added).unwrap(), user, "{spec} {added:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_in_dockers_words() {
        for (spec, added, words) in [
            ("foo", &[][..], "unable to find user foo: no matching entries in passwd file"),
            ("root:foo", &[], "unable to find group foo: no matching entries in group file"),
            ("root", &["bar"], "unable to find group bar: no matching entries in group file"),
            ("2147483648", &[], "`2147483648`: uids and gids must be in range 0-2147483647"),
            ("-1", &[], "`-1`: uids and gids must be in range 0-2147483647"),
            ("0:99999999999", &[], "`99999999999`: uids and gids must be in range 0-2147483647"),
        ] {
            assert_eq!(find(spec, added).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn an_image_without_files_has_numbers_only() {
        let user = resolve_user("5:6", &["7".into()], None, None).unwrap();
        assert_eq!((user.uid, user.gid, user.groups, user.home.as_str()), (5, 6, vec![6, 7], "/"));
        assert_eq!(resolve_user("", &[], None, None).unwrap().uid, 0);
        assert!(resolve_user("root", &[], None, None).is_err());
    }
}
