//! `midwatch demo`: an incident from start to end, in a world of its own.

mod embedded;
mod people;

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use midwatch_policy::SignedDuration;
use midwatch_sim::Scenario;

use crate::{
    approve::{AtTheDesk, Channel},
    incident::handle,
    ledger::Ledger,
    memory::Memory,
    terminal::{
        style::{FAINT, STRONG},
        text::{columns, wrap},
    },
};

use people::{AtTheTerminal, Decided};

use super::{
    args::{DemoArgs, Format},
    incidents::store,
    model::{config, ledger},
    seat::{Seat, Yes},
    triage::{journal, show, view},
    world::{self, Gate},
};

pub(super) async fn run(arguments: DemoArgs) -> anyhow::Result<ExitCode> {
    let unpacked;
    let directory = if let Some(directory) = &arguments.scenario {
        directory.as_path()
    } else {
        unpacked = embedded::unpack()?;
        unpacked.path()
    };
    let scenario = Scenario::load(directory).context("the scenario cannot be played")?;
    if arguments.format == Format::Text {
        let mut out = anstream::stdout();
        let lines = |text: &str| wrap(text, columns() - 2);
        writeln!(out)?;
        for (at, line) in lines(&format!("midwatch  {}", scenario.title())).iter().enumerate() {
            match line.strip_prefix("midwatch").filter(|_| at == 0) {
                Some(rest) => writeln!(out, " {STRONG}midwatch{STRONG:#} {rest}")?,
                None => writeln!(out, " {line}")?,
            }
        }
        let about = "a world of its own on loopback, with its own clock; nothing outside is touched";
        for line in lines(about) {
            writeln!(out, " {FAINT}{line}{FAINT:#}")?;
        }
    }
    let memory = Memory::open(&store(arguments.store.clone()));
    let (journal, kept) = journal(arguments.store.clone())?;
    let gate = if arguments.processes {
        Gate::Apart
    } else {
        Gate::Embedded(Some(SignedDuration::from_secs(i64::from(arguments.timeout))))
    };
    // Without a store of its own the demo's money is as made up as its world.
    let (ledger, model, note) = match &arguments.store {
        Some(store) => ledger(arguments.model, store)?,
        None => (Ledger::in_memory(config(None, None)?.ceilings), arguments.model, None),
    };
    let kept = note.or(kept);
    let stage = world::set(scenario, (model, ledger), (journal, memory), gate, |world, seat| {
        channel(&arguments, world, seat)
    })
    .await?;
    let run = handle(stage.alarm, &stage.site, view(arguments.format), rand::random()).await?;
    stage.site.minds.ledger.flush().await;
    show(&run, arguments.format)?;
    if arguments.format == Format::Text {
        let note =
            kept.unwrap_or_else(|| format!("all of it is kept: midwatch incidents show {}", run.incident));
        let mut out = anstream::stdout();
        for line in wrap(&note, columns() - 2) {
            writeln!(out, " {FAINT}{line}{FAINT:#}")?;
        }
        writeln!(out)?;
    }
    drop(stage.world);
    Ok(if run.outcome.needs_a_person() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn channel(arguments: &DemoArgs, world: &Arc<midwatch_sim::World>, seat: Seat) -> Arc<dyn Channel> {
    let interactive = std::io::stdin().is_terminal() && arguments.format == Format::Text;
    match (arguments.approve, arguments.decline, arguments.no_input) {
        (true, _, _) => Arc::new(Decided::new(world.clock(), seat, Yes::Approve, "--approve")),
        (_, true, _) => Arc::new(Decided::new(world.clock(), seat, Yes::Decline, "--decline")),
        (false, false, false) if interactive => Arc::new(AtTheTerminal::new(Arc::clone(world), seat)),
        _ => Arc::new(AtTheDesk),
    }
}
