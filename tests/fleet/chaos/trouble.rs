//! What is done to a rollout, and at which moment of it; and what must be true of a host afterwards.

use crate::chaos::ground::{Controller, DEAD_MAN, Ground, Held, SERVICES, signal};
use crate::common::fleet::Ran;
use serde_json::Value;
use std::collections::HashMap;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A moment of a host's rollout, as the controller's events tell it, and a while after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub service: &'static str,
    pub event: &'static str,
    pub step: &'static str,
    pub after: Duration,
}

pub const fn start_of(service: &'static str, step: &'static str, millis: u64) -> Moment {
    Moment { service, event: "step_start", step, after: Duration::from_millis(millis) }
}
pub const fn end_of(service: &'static str, step: &'static str, millis: u64) -> Moment {
    Moment { service, event: "step_end", step, after: Duration::from_millis(millis) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL of certroll.
    ControllerDies,
    /// SIGSTOP of certroll for longer than hosts wait.
    ControllerFreezes,
    /// SIGINT to certroll.
    Interrupted,
    /// Another one a moment later.
    InterruptedTwice,
    /// The host's packets vanish until [`Trouble::heal`].
    LinkIsCut,
    /// All the host's processes end at once; it boots in [`Trouble::heal`].
    PowerIsLost,
    /// SIGKILL of the program on the host.
    ProgramDies,
}

#[derive(Clone, Copy, Debug)]
pub struct Strike {
    pub host: &'static str,
    pub moment: Moment,
    pub blow: Blow,
}

/// What the controller said of one service of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Told {
    /// Nothing that could have changed it.
    #[default]
    Untouched,
    /// The commit was asked for.
    Begun,
    Confirmed,
    Ended(String),
}

/// Strikes on their way, and what the controller said meanwhile.
pub struct Trouble<'a> {
    ground: &'a Ground,
    strikes: Vec<(Strike, bool)>,
    service: String,
    told: HashMap<(String, String), Told>,
    pids: HashMap<&'static str, u32>,
    blows: Vec<JoinHandle<()>>,
}

impl<'a> Trouble<'a> {
    pub fn new(ground: &'a Ground, strikes: &[Strike]) -> Self {
        let pids = strikes.iter().map(|s| (s.host, ground.pid(s.host).unwrap())).collect();
        Self {
            ground,
            strikes: strikes.iter().map(|strike| (*strike, false)).collect(),
            service: String::new(),
            told: HashMap::new(),
            pids,
            blows: Vec::new(),
        }
    }

    /// Runs `apply` and strikes.
    ///
    /// # Panics
    /// When a strike's moment did not come.
    pub fn strike(&mut self, controller: &Controller) -> Ran {
        let ran = controller.watched("apply", |event, pid| self.see(event, pid));
        for blow in self.blows.drain(..) {
            blow.join().unwrap();
        }
        let missed: Vec<_> = self.strikes.iter().filter(|(_, struck)| !struck).collect();
        assert!(missed.is_empty(), "never came: {missed:?}\n{ran}");
        ran
    }

    fn see(&mut self, event: &Value, controller: u32) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (kind, step, host) = (text("event"), text("step"), text("host"));
        match kind.as_str() {
            "task_start" => self.service = text("task"),
            "step_start" if step == "commit" => self.tell(&host, Told::Begun),
            "step_end" if step == "confirm" => self.tell(&host, Told::Confirmed),
            "certificate_end" => self.tell(&host, Told::Ended(text("outcome"))),
            _ => {}
        }
        for (strike, struck) in &mut self.strikes {
            let Moment { service, event, step: at, after } = strike.moment;
            if !*struck
                && strike.host == host
                && service == self.service
                && event == kind
                && at == step
            {
                *struck = true;
                let mut blow = blow(self.ground, strike, self.pids[strike.host], controller);
                self.blows.push(std::thread::spawn(move || {
                    std::thread::sleep(after);
                    blow();
                }));
            }
        }
    }

    fn tell(&mut self, host: &str, told: Told) {
        self.told.insert((host.to_owned(), self.service.clone()), told);
    }

    fn struck(&self, blow: Blow) -> impl Iterator<Item = &'static str> {
        self.strikes.iter().filter(move |(s, _)| s.blow == blow).map(|(s, _)| s.host)
    }

    /// A host whose link is cut goes back by itself, still cut off.
    pub fn settles_while_cut(&self) {
        for host in self.struck(Blow::LinkIsCut) {
            let limit = DEAD_MAN + Duration::from_secs(60);
            let held = self.ground.look_until(host, limit, |held| {
                held.whole().is_some() && !held.litter.iter().any(|path| path.contains("/undo."))
            });
            // Not for a moment only.
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(self.ground.look(host).whole(), held.whole(), "{host} in between");
        }
    }

    /// Links work, and hosts have power.
    pub fn heal(&self) {
        for host in self.struck(Blow::LinkIsCut) {
            self.ground.link(host, true);
        }
        std::thread::scope(|scope| {
            for host in self.struck(Blow::PowerIsLost) {
                scope.spawn(move || {
                    let end = Instant::now() + Duration::from_secs(60);
                    while self.ground.pid(host).is_some() && Instant::now() < end {
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    self.ground.fleet.fleet(&["on", host])
                });
            }
        });
    }

    /// Each service of the host is what it was or what was wanted, and that which the controller said.
    pub fn is_as_told(&self, host: &str, was: [&str; 2], wanted: &str, held: &Held, ran: &Ran) {
        let is = held.whole().unwrap();
        for (index, service) in SERVICES.iter().enumerate() {
            let told = self.told.get(&(host.to_owned(), (*service).to_owned()));
            let allowed: &[&str] = match told.unwrap_or(&Told::Untouched) {
                Told::Untouched => &[was[index]],
                Told::Begun => &[was[index], wanted],
                Told::Confirmed => &[wanted],
                Told::Ended(outcome) => match outcome.as_str() {
                    "changed" | "unchanged" => &[wanted],
                    "unknown" => &[was[index], wanted],
                    _ => &[was[index]],
                },
            };
            assert!(
                allowed.contains(&is[index]),
                "{service} on {host} is {} and was {}, told {told:?}; struck: {:?}\n{ran}",
                is[index],
                was[index],
                self.strikes
            );
        }
    }
}

/// A blow ready to fall in a thread: everything slow is done before.
fn blow(ground: &Ground, strike: &Strike, host: u32, controller: u32) -> Box<dyn FnMut() + Send> {
    match strike.blow {
        Blow::ControllerDies => Box::new(move || signal(controller, "KILL")),
        Blow::ControllerFreezes => Box::new(move || {
            signal(controller, "STOP");
            std::thread::sleep(DEAD_MAN + Duration::from_secs(5));
            signal(controller, "CONT");
        }),
        Blow::Interrupted => Box::new(move || signal(controller, "INT")),
        Blow::InterruptedTwice => Box::new(move || {
            signal(controller, "INT");
            std::thread::sleep(Duration::from_millis(300));
            signal(controller, "INT");
        }),
        Blow::LinkIsCut => {
            let mut command = ground.link_command(strike.host, false);
            Box::new(move || assert!(command.status().unwrap().success()))
        }
        Blow::PowerIsLost => Box::new(move || signal(host, "KILL")),
        Blow::ProgramDies => {
            let mut command = Command::new("nsenter");
            let kill = "cd /run/certroll/lock && for l in *; do l=${l#*.}; kill -9 ${l%%.*}; done";
            command
                .args(["-t", &host.to_string(), "-m", "-u", "-i", "-n", "-p", "-r", "-w"])
                .args(["sh", "-c", kill]);
            Box::new(move || {
                command.output().unwrap();
            })
        }
    }
}
