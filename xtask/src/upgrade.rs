//! What opkg and apk make of a router with lua-eco 4.1.4 that gets a feed of ours. Neither is in a registry here, so these
//! are models: only those rules of theirs that decide which packages are there in the end.

use crate::table::{abi_package, Package, Table};
use crate::version::{compare, Order, Relation};
use crate::workspace;
use std::collections::{BTreeMap, BTreeSet};

/// The packages of 4.1.4 and which of them each needs.
const FORMER: &[(&str, &[&str])] = &[
    ("lua-eco", &[]),
    ("lua-eco-cli", &["lua-eco"]),
    ("lua-eco-log", &["lua-eco"]),
    ("lua-eco-base64", &["lua-eco"]),
    ("lua-eco-md5", &["lua-eco"]),
    ("lua-eco-sha1", &["lua-eco"]),
    ("lua-eco-sha256", &["lua-eco"]),
    ("lua-eco-hmac", &["lua-eco"]),
    ("lua-eco-socket", &["lua-eco"]),
    ("lua-eco-dns", &["lua-eco", "lua-eco-socket"]),
    ("lua-eco-ssl", &["lua-eco", "lua-eco-socket"]),
    (
        "lua-eco-http",
        &[
            "lua-eco",
            "lua-eco-dns",
            "lua-eco-ssl",
            "lua-eco-base64",
            "lua-eco-log",
        ],
    ),
    (
        "lua-eco-websocket",
        &["lua-eco", "lua-eco-http", "lua-eco-base64", "lua-eco-sha1"],
    ),
    (
        "lua-eco-mqtt",
        &["lua-eco", "lua-eco-socket", "lua-eco-ssl"],
    ),
    ("lua-eco-termios", &["lua-eco"]),
    ("lua-eco-netlink", &["lua-eco", "lua-eco-socket"]),
    ("lua-eco-ip", &["lua-eco", "lua-eco-netlink"]),
    ("lua-eco-nl80211", &["lua-eco", "lua-eco-netlink"]),
    ("lua-eco-packet", &["lua-eco", "lua-eco-nl80211"]),
    ("lua-eco-net", &["lua-eco", "lua-eco-packet", "lua-eco-dns"]),
    ("lua-eco-ubus", &["lua-eco"]),
    ("lua-eco-uci", &["lua-eco"]),
    ("lua-eco-ssh", &["lua-eco", "lua-eco-socket"]),
    ("lua-eco-shared", &["lua-eco"]),
];
const OLD: &str = "4.1.4-r1";

/// A package of a version.
#[derive(Clone, Debug)]
struct State {
    version: String,
    needs: Vec<Relation>,
    conflicts: Vec<Relation>,
    provides: Option<String>,
    /// Came for another one's sake.
    automatic: bool,
}

type Packages = BTreeMap<String, State>;

fn former() -> Packages {
    let state = |needs: &[&str]| State {
        version: OLD.into(),
        needs: needs
            .iter()
            .map(|name| Relation::new(name, Order::Any, ""))
            .collect(),
        conflicts: Vec::new(),
        provides: None,
        automatic: false,
    };
    FORMER
        .iter()
        .map(|(name, needs)| (name.to_string(), state(needs)))
        .collect()
}

fn present() -> Packages {
    let table = Table::read().unwrap();
    let state = |package: &Package| State {
        version: table.package_version(),
        needs: table.needs(package).unwrap(),
        conflicts: table.conflicts(package),
        provides: package.depends.is_empty().then(|| abi_package().unwrap()),
        automatic: false,
    };
    let packages = table.packages.iter();
    packages
        .map(|package| (package.name.clone(), state(package)))
        .collect()
}

/// The package among these that meets a relation, be it under another name.
fn meets<'a>(packages: &'a Packages, wanted: &Relation) -> Option<&'a String> {
    let found = packages.iter().find(|(name, state)| {
        (**name == wanted.name || state.provides.as_ref() == Some(&wanted.name))
            && wanted.admits(&state.version)
    });
    found.map(|(name, _)| name)
}

/// Every package is there whole: what it needs is there, what it conflicts with is not.
fn check_whole(packages: &Packages) {
    for (name, state) in packages {
        for needed in &state.needs {
            assert!(meets(packages, needed).is_some(), "{name} lacks {needed}");
        }
        for bad in &state.conflicts {
            let there = packages.get(&bad.name);
            assert!(
                !there.is_some_and(|there| bad.admits(&there.version)),
                "{name} beside {bad}"
            );
        }
    }
}

fn names(packages: &Packages) -> BTreeSet<String> {
    packages.keys().cloned().collect()
}

mod opkg {
    use super::*;

    /// `opkg install NAME` and `opkg upgrade NAME`: conflicts first, then what it needs, then orphans, then itself. Nothing
    /// is undone when a later step fails.
    pub fn install(there: &mut Packages, feed: &Packages, name: &str) -> Result<(), String> {
        bring(there, feed, name, false)
    }

    fn bring(
        there: &mut Packages,
        feed: &Packages,
        name: &str,
        automatic: bool,
    ) -> Result<(), String> {
        let new = feed.get(name).ok_or(format!("no package {name}"))?;
        let old = there.get(name).cloned();
        if old
            .as_ref()
            .is_some_and(|old| compare(&old.version, &new.version).is_ge())
        {
            return Ok(());
        }
        for bad in &new.conflicts {
            if there
                .get(&bad.name)
                .is_some_and(|state| bad.admits(&state.version))
            {
                return Err(format!("{} conflicts with {name}", bad.name));
            }
        }
        for needed in &new.needs {
            if meets(there, needed).is_none() {
                let other = meets(feed, needed).ok_or(format!("no package {needed}"))?;
                bring(there, feed, &other.clone(), true)?;
            }
        }
        for dropped in old.iter().flat_map(|old| &old.needs) {
            let other = &dropped.name;
            let names_it = |state: &State| state.needs.iter().any(|one| one.name == *other);
            let mut others = there.iter().filter(|(one, _)| *one != name);
            let kept = names_it(new) || others.any(|(_, state)| names_it(state));
            if !kept && there.get(other).is_some_and(|state| state.automatic) {
                there.remove(other);
            }
        }
        let state = State {
            automatic,
            ..new.clone()
        };
        there.insert(name.to_string(), state);
        Ok(())
    }

    /// `opkg remove --force-removal-of-dependent-packages NAME`
    pub fn remove(there: &mut Packages, name: &str) {
        there.remove(name);
        let needs = |state: &State| state.needs.iter().any(|one| one.name == name);
        let dependent = there.iter().filter(|(_, state)| needs(state));
        for other in dependent
            .map(|(other, _)| other.clone())
            .collect::<Vec<_>>()
        {
            remove(there, &other);
        }
    }
}

mod apk {
    use super::*;

    /// `apk upgrade`: of each package that the world needs, by way of others too, the newest version; the rest goes. Where
    /// newest versions do not go together the model gives up, and so everything that the tests state holds without it.
    pub fn upgrade(world: &BTreeSet<String>, feed: &Packages) -> Packages {
        let mut chosen = Packages::new();
        let mut open: Vec<Relation> = world
            .iter()
            .map(|name| Relation::new(name, Order::Any, ""))
            .collect();
        while let Some(wanted) = open.pop() {
            let name = meets(feed, &wanted).unwrap_or_else(|| panic!("no package {wanted}"));
            if chosen.insert(name.clone(), feed[name].clone()).is_none() {
                open.extend(feed[name].needs.iter().cloned());
            }
        }
        check_whole(&chosen);
        chosen
    }
}

/// Our packages, and of those before the ones that we have not.
fn both_feeds() -> Packages {
    let mut feed = former();
    feed.extend(present());
    feed
}

/// Names of 4.x that are ours, too: those that a router may go on with.
fn shared_names() -> Vec<&'static str> {
    let ours = present();
    let names = FORMER.iter().map(|(name, _)| *name);
    names.filter(|name| ours.contains_key(*name)).collect()
}

/// A router where the user installed these.
fn router(wanted: &[&str]) -> Packages {
    let mut there = Packages::new();
    for name in wanted {
        opkg::install(&mut there, &former(), name).unwrap();
        there.get_mut(*name).unwrap().automatic = false;
    }
    check_whole(&there);
    there
}

#[test]
fn opkg_upgrades_no_router_into_a_mixed_one() {
    let feed = present();
    let everything: Vec<&str> = FORMER.iter().map(|(name, _)| *name).collect();
    let mut wanted: Vec<Vec<&str>> = everything.iter().map(|name| vec![*name]).collect();
    wanted.push(everything);
    for wanted in wanted.iter().filter(|wanted| **wanted != ["lua-eco"]) {
        let before = router(wanted);
        for name in before.keys().filter(|name| feed.contains_key(*name)) {
            let mut there = before.clone();
            let error = opkg::install(&mut there, &feed, name).unwrap_err();
            assert!(error.ends_with("conflicts with lua-eco"), "{error}");
            assert_eq!(names(&there), names(&before));
            assert!(there.values().all(|state| state.version == OLD));
        }
    }
    let mut there = router(&["lua-eco"]);
    opkg::install(&mut there, &feed, "lua-eco").unwrap();
    check_whole(&there);
}

/// `feeds/README.md`: the names are noted, all is removed, the names are installed.
#[test]
fn by_the_guide_opkg_brings_every_package_back() {
    let feed = present();
    let mut wanted: Vec<Vec<&str>> = shared_names().into_iter().map(|name| vec![name]).collect();
    wanted.push(shared_names());
    for wanted in wanted {
        let mut there = router(&wanted);
        let noted = names(&there);
        opkg::remove(&mut there, "lua-eco");
        assert!(there.is_empty(), "{there:?}");
        for name in &noted {
            opkg::install(&mut there, &feed, name).unwrap();
        }
        check_whole(&there);
        assert!(names(&there).is_superset(&noted), "{wanted:?}");
        assert!(there.values().all(|state| state.version != OLD));
    }
}

#[test]
fn apk_upgrades_all_at_once_and_by_the_guide_keeps_all() {
    let feed = both_feeds();
    for wanted in shared_names() {
        let before = router(&[wanted]);
        let alone = apk::upgrade(&[wanted.to_string()].into(), &feed);
        assert!(alone.values().all(|state| state.version != OLD), "{wanted}");
        // What came along and is needed no more goes, unless it is asked for first.
        let kept = apk::upgrade(&names(&before), &feed);
        assert!(names(&kept).is_superset(&names(&before)), "{wanted}");
    }
}

/// What the guide warns of, by name.
#[test]
fn what_apk_would_drop_is_what_the_guide_says() {
    let before = names(&router(&["lua-eco-http"]));
    let after = names(&apk::upgrade(
        &["lua-eco-http".to_string()].into(),
        &both_feeds(),
    ));
    let dropped: Vec<&String> = before.difference(&after).collect();
    assert_eq!(dropped, ["lua-eco-base64", "lua-eco-dns", "lua-eco-ssl"]);
    let guide = crate::run::read_text(&workspace::root().join("feeds/README.md")).unwrap();
    for name in dropped {
        assert!(guide.contains(&format!("`{name}`")), "{name}");
    }
}
