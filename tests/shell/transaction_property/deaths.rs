//! Programs that die where they are told to, and faulty ones.

use super::history::Death;
use certroll::testing::remote::program::Program;
use std::path::Path;

/// Counts steps and actions, and dies at one of them. An action that it dies in lives on for a while.
const HOOK: &str = r#"case ${1-} in guard) [ -n "${GUARDED-}" ] || exit 0; DIES_AT= STRAYS_AT=;; esac
step_n=0 act_n=0
step() { step_n=$((step_n+1)); [ -n "${GUARDED-}" ] || guard_text="exit 0"; [ $step_n != "$DIES_AT" ] || { kill -s KILL $$; exit 137; }; }
at_step() { step "$@"; }
act() {
  act_n=$((act_n+1))
  [ $act_n = "$STRAYS_AT" ] || { command "$@"; return; }
  : >"$STRAYS/$act_n"
  case "$1 $#" in "mv 6") command mv "$2" "$3" "$4" "$6"; set -- mv "$2" "$3" "$5" "$6";; esac
  ( [ "$STRAYS_FOR" = 0 ] || sleep "$STRAYS_FOR"
    command "$@"; command rm -f "$STRAYS/$act_n" ) </dev/null >/dev/null 2>&1 3<&- &
  kill -s KILL $$; exit 137
}
mv() { act mv "$@"; }
rm() { act rm "$@"; }
cp() { act cp "$@"; }
ln() { act ln "$@"; }
mkdir() { act mkdir "$@"; }
rmdir() { act rmdir "$@"; }
chmod() { act chmod "$@"; }
chown() { act chown "$@"; }
sync() { act sync "$@"; }
"#;

/// What the service does when it is told to load files: reads both, and writes down what it read. One that outlives
/// its program does so once it is let go (see `strays_end`), however long that takes. ROOT CERT KEY
pub const RELOAD: &str = r#"read_one() { l=; { { read -r l; read -r l; } <"$1"; } 2>/dev/null; }
read_one "$2"; pair=$l; read_one "$3"; pair=$pair+$l
stray=$1/strays/reload.$DIES_IN_RELOAD
if [ -n "$DIES_IN_RELOAD" ] && [ ! -e "$stray" ]; then
  echo $$ >"$stray"
  for lock in "$1"/run/lock/*; do lock=${lock##*/}; lock=${lock#*.}; kill -s KILL "${lock%%.*}"; done
  n=0; while [ ! -e "$1/go" ] && [ $n -lt 200 ]; do sleep 0.1; n=$((n+1)); done
fi
echo "$pair" >>"$1/reloads""#;

/// For the environment of the next program, which is the `number`th.
pub fn environment(
    death: Option<Death>,
    number: u32,
    guarded: bool,
    strays: &Path,
) -> Vec<(String, String)> {
    let mut values = [const { String::new() }; 4];
    match death {
        None => {}
        Some(Death::Step(step)) => values[0] = step.to_string(),
        Some(Death::Action(action, later)) => {
            values[1] = action.to_string();
            values[2] = if later == 0 { "0".into() } else { format!("0.{later:03}") };
        }
        Some(Death::Reload) => values[3] = number.to_string(),
    }
    let names = ["DIES_AT", "STRAYS_AT", "STRAYS_FOR", "DIES_IN_RELOAD"];
    let mut environment: Vec<_> = names.map(String::from).into_iter().zip(values).collect();
    environment.push(("STRAYS".into(), strays.display().to_string()));
    environment.push(("GUARDED".into(), if guarded { "1" } else { "" }.into()));
    environment
}

/// What works on the host.
#[derive(Clone)]
pub struct Programs {
    pub transaction: Program,
    pub recovery: Program,
}

pub fn programs() -> Programs {
    Programs {
        transaction: Program::transaction(Some(HOOK)),
        recovery: Program::recovery(Some(HOOK)),
    }
}

/// Programs in which a text stands in the place of another.
pub fn faulty(from: &str, to: &str) -> Programs {
    // As it stands before other parts.
    let prelude = Program::new(&[""]);
    let alter = |program: Program| {
        let (_, text) = program.text().split_once(prelude.text()).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from}");
        // A program of parts is rid of its steps.
        let text = text.replace(from, to).replace("\nstep ", "\nat_step ");
        Program::new(&[HOOK, &text])
    };
    let Programs { transaction, recovery } = programs();
    Programs { transaction: alter(transaction), recovery: alter(recovery) }
}

/// Faults, each with what stands in the program and what would stand there.
pub const FAULTS: [(&str, &str, &str); 7] = [
    (
        "it forgets to restore the key",
        "elif [ \"$undo_now\" = \"$undo_after\" ] && ! is_gone; then undo_back=\"$undo_back $i\"\n",
        "elif [ \"$undo_now\" = \"$undo_after\" ] && ! is_gone; then [ \"${undo_live##*/}\" = key.pem ] || undo_back=\"$undo_back $i\"\n",
    ),
    ("it renames before the journal is armed", "{ echo armed >>\"$journal\"; }", "{ :; }"),
    (
        "the record that decides is written before the word has come",
        "guard_tell \"$t_guard\"\n",
        "guard_tell \"$t_guard\"\nmv -- \"$journal\" \"$state/done.$tx\"; journal=$state/done.$tx\n",
    ),
    (
        "an undo that died is not taken up again",
        "\"$state\"/j.* \"$state\"/undo.* ",
        "\"$state\"/j.* ",
    ),
    (
        "others' changes are overwritten",
        "elif [ \"$undo_now\" = \"$undo_before\" ]; then :\nelse undo_conflict; fi\n",
        "elif [ \"$undo_now\" = \"$undo_before\" ]; then :\nelse undo_back=\"$undo_back $i\"; fi\n",
    ),
    ("services are not told on the way back", "[ $touched = 0 ] || services_back", ":"),
    (
        "a command of a dead program goes on",
        "case $v in \"$boot_id\".*) end_command",
        "case $v in -) end_command",
    ),
];
