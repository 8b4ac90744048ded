//! The task behind the door.

use std::{
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use midwatch_policy::{Clock, IncidentId, SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    alarm::Alarm,
    intake::{
        board::{Board, Decision, Firing, Group, How, News, Orders, Ruling},
        inbox::{Inbox, InboxError, Noted, Row},
        queue::{Queue, Waiting},
        refused::Refused,
    },
    passed::Passed,
};

use super::{Arrival, Begun, Effect, Message, Onward, Refusal, Standing};

/// Messages that are decided about in one commit at most.
const BATCH: usize = 256;
/// How often alarms that were put off are looked at.
const TICK: Duration = Duration::from_secs(5);
/// How far back the board is made from.
const MEMORY: SignedDuration = SignedDuration::from_hours(48);
/// How long rows are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);
/// How often old rows are taken away.
const SWEEP: SignedDuration = SignedDuration::from_hours(1);
/// Where an alarm comes from that was put off.
const PUT_OFF: &str = "put off before";
/// Where an alarm comes from that fires on when its incident is handed back.
const HANDED_BACK: &str = "handed back";
/// Where it is written that an incident ended.
const OURSELVES: &str = "midwatch";

/// Owns the board.
#[derive(Debug)]
pub struct Porter {
    pub(super) board: Board,
    pub(super) inbox: Inbox,
    pub(super) orders: Orders,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) receiver: mpsc::Receiver<Message>,
    pub(super) standing: Arc<Standing>,
    /// The time by which rows are taken away.
    pub(super) passed: Passed,
    /// The time by which the board forgets. Begun with the process: who was down for a month must not hold what comes
    /// in now for part of what was there before.
    pub(super) lived: Passed,
    pub(super) effects: mpsc::Sender<Effect>,
    /// The board may have what the inbox does not.
    pub(super) stale: bool,
    /// It is in the middle of something; where its work breaks off, it still is.
    pub(super) busy: bool,
}

/// What a batch comes to: what is written, and what is done once it is.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    waiting: Vec<Waiting>,
    withdrawn: Vec<Waiting>,
    effects: Vec<Effect>,
    /// Alarms for which there was no room, and those behind them in their messages.
    refused: Vec<Alarm>,
}

/// An answer that waits for the commit.
enum Answer {
    Arrival(oneshot::Sender<Result<Vec<Ruling>, Refusal>>, Result<Vec<Ruling>, Refusal>),
    Finished(oneshot::Sender<Result<(), Refusal>>),
    HandedBack(oneshot::Sender<Result<Onward, Refusal>>, Result<Onward, Refusal>),
}

impl Porter {
    /// Makes the board what the inbox says.
    pub(super) async fn remember(&mut self) -> Result<(), InboxError> {
        let now = self.lived.now(self.clock.now(), self.clock.running());
        let since = now.saturating_sub(MEMORY).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut board = Board::default();
        for row in self.inbox.since(since).await? {
            match &row.noted {
                Noted::Alarm { alarm, ruling } => {
                    board.apply(alarm, ruling, &self.orders.grouping, row.at);
                }
                Noted::Finished { incident, outcome, .. } => {
                    board.finish(incident, Noted::with_a_person(*outcome), row.at);
                }
                // Whose alarms they are does not change by that.
                Noted::Reopened { .. } => {}
            }
        }
        self.board = board;
        self.stale = false;
        Ok(())
    }

    /// Answers until it is told to stop; what came in until then is still answered.
    /// May be run again where it broke off: what was not written has not happened.
    pub async fn run(&mut self, stop: &CancellationToken) {
        self.stale |= self.busy;
        let clock = Arc::clone(&self.clock);
        let mut tick = clock.sleep(TICK);
        let mut batch = Vec::with_capacity(BATCH);
        let mut swept = clock.now();
        loop {
            tokio::select! {
                count = self.receiver.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    self.take(std::mem::take(&mut batch)).await;
                }
                // A second time it is the channel that ends the loop.
                () = stop.cancelled(), if !self.receiver.is_closed() => self.receiver.close(),
                () = &mut tick => {
                    tick = clock.sleep(TICK);
                    self.put_off().await;
                    self.calmed().await;
                    let now = clock.now();
                    if now.duration_since(swept).abs() > SWEEP {
                        swept = now;
                        self.sweep(now).await;
                    }
                }
            }
        }
    }

    /// Alarms whose silence is over are decided about again.
    async fn put_off(&mut self) {
        if self.stale {
            return;
        }
        for alarm in self.board.due(&self.orders, self.clock.now()) {
            let (done, _) = oneshot::channel();
            let (alarms, source) = (vec![alarm], PUT_OFF.to_owned());
            let arrival = Arrival { alarms, source, message: None, done, place: None };
            self.take(vec![Message::Arrival(arrival)]).await;
        }
    }

    /// What flapped has been quiet for a while: people hear of its end, once.
    async fn calmed(&mut self) {
        if self.stale {
            return;
        }
        let over = |(incident, alarm)| Effect::Over { incident, alarm };
        let effects: Vec<Effect> = self.board.calmed(self.clock.now()).into_iter().map(over).collect();
        if !effects.is_empty() {
            self.perform(Batch { effects, ..Batch::default() }, true).await;
        }
    }

    /// A clock that is set forward makes nothing old: neither here nor on the board.
    async fn sweep(&mut self, wall: Timestamp) {
        let running = self.clock.running();
        self.board.prune(self.lived.now(wall, running));
        let passed = self.passed.now(wall, running);
        let Ok(before) = passed.checked_sub(KEPT) else { return };
        if let Err(error) = self.inbox.forget(before, passed).await {
            tracing::warn!(%error, "old rows of the inbox could not be taken away");
        }
    }

    async fn take(&mut self, messages: Vec<Message>) {
        if self.stale
            && let Err(error) = self.remember().await
        {
            tracing::error!(%error, "the inbox cannot be read");
            self.refuse(messages);
            return;
        }
        self.busy = true;
        let mut batch = Batch::default();
        let mut answers = Vec::with_capacity(messages.len());
        let mut room = self.queue().room();
        for message in messages {
            match message {
                Message::Arrival(Arrival { alarms, source, message, done, place: _ }) => {
                    let now = self.clock.now();
                    let alarms = alarms.into_iter().map(|alarm| alarm.at_a_time_that_can_be(now)).collect();
                    let ruled = self.rule(alarms, (&source, message.as_ref()), &mut room, &mut batch);
                    answers.push(Answer::Arrival(done, ruled));
                }
                Message::Finished { incident, outcome, why, done } => {
                    let noted = Noted::Finished { incident, outcome, why };
                    self.finish(noted, &mut batch);
                    answers.push(Answer::Finished(done));
                }
                Message::HandedBack { incident, by, done } => {
                    let onward = self.anew(&incident, &by, &mut room, &mut batch);
                    answers.push(Answer::HandedBack(done, onward));
                }
                Message::Orders(orders, done) => {
                    self.orders = *orders;
                    let _ = done.send(());
                }
            }
        }
        let rows: Arc<[Row]> = std::mem::take(&mut batch.rows).into();
        let written = if rows.is_empty() { Ok(()) } else { self.inbox.append(Arc::clone(&rows)).await };
        if let Err(error) = &written {
            tracing::error!(%error, "alarms cannot be written down");
            self.stale = true;
        }
        if !rows.is_empty() {
            self.standing.writable.store(written.is_ok(), Ordering::Relaxed);
        }
        self.remember_refused(&rows, written.is_ok(), &batch.refused);
        for answer in answers {
            match answer {
                Answer::Arrival(done, ruled) => {
                    let _ = done.send(if written.is_ok() { ruled } else { Err(Refusal::Unwritten) });
                }
                Answer::HandedBack(done, onward) => {
                    let _ = done.send(if written.is_ok() { onward } else { Err(Refusal::Unwritten) });
                }
                Answer::Finished(done) => {
                    let _ = done.send(written.clone().map_err(|_| Refusal::Unwritten));
                }
            }
        }
        self.perform(batch, written.is_ok()).await;
        self.busy = false;
    }

    /// Keeps in mind who was turned away, for the time when nothing can be written.
    fn remember_refused(&self, rows: &[Row], written: bool, no_room: &[Alarm]) {
        let now = self.clock.now();
        let mut refused = self.refused();
        for row in rows {
            if let Noted::Alarm { alarm, .. } = &row.noted {
                if written { refused.taken(alarm) } else { refused.refused(alarm, now) }
            }
        }
        for alarm in no_room {
            refused.refused(alarm, now);
        }
    }

    fn refuse(&self, messages: Vec<Message>) {
        let now = self.clock.now();
        self.standing.writable.store(false, Ordering::Relaxed);
        for message in messages {
            match message {
                Message::Arrival(arrival) => {
                    for alarm in &arrival.alarms {
                        self.refused().refused(alarm, now);
                    }
                    let _ = arrival.done.send(Err(Refusal::Unwritten));
                }
                Message::Finished { done, .. } => {
                    let _ = done.send(Err(Refusal::Unwritten));
                }
                Message::HandedBack { done, .. } => {
                    let _ = done.send(Err(Refusal::Unwritten));
                }
                // Whoever reloads sees that nobody took them.
                Message::Orders(..) => {}
            }
        }
    }

    /// Decides about the alarms of one message. What is decided before one is refused stays: when
    /// the message comes again, that part of it is a duplicate.
    fn rule(
        &mut self,
        alarms: Vec<Alarm>,
        (source, message): (&str, Option<&String>),
        room: &mut usize,
        batch: &mut Batch,
    ) -> Result<Vec<Ruling>, Refusal> {
        let mut rulings = Vec::with_capacity(alarms.len());
        let mut alarms = alarms.into_iter();
        while let Some(alarm) = alarms.next() {
            let ruling = match self.board.decide(&alarm, &self.orders, self.clock.now(), rand::random()) {
                Ok(ruling) => ruling,
                Err(error) => {
                    // An id is made of digits: this cannot be, and must not lose an alarm.
                    tracing::error!(%error, alarm = alarm.name, "an alarm cannot be given an incident");
                    batch.refused.push(alarm);
                    batch.refused.extend(alarms);
                    return Err(Refusal::Unwritten);
                }
            };
            if matches!(ruling.decision, Decision::Opened { .. }) {
                let Some(less) = room.checked_sub(1) else {
                    // Those behind it are not looked at: nobody else knows of them either.
                    batch.refused.push(alarm);
                    batch.refused.extend(alarms);
                    return Err(Refusal::Full);
                };
                *room = less;
            }
            self.settle(alarm, &ruling, (source, message), batch);
            rulings.push(ruling);
        }
        Ok(rulings)
    }

    /// Makes the board what a ruling says, and prepares what is written and done for it.
    fn settle(
        &mut self,
        alarm: Alarm,
        ruling: &Ruling,
        (source, message): (&str, Option<&String>),
        batch: &mut Batch,
    ) {
        let now = self.clock.now();
        if let Decision::Opened { incident, salt, .. } = &ruling.decision {
            let service = ruling.service.as_ref().and_then(|name| self.orders.catalog.get(name));
            batch.waiting.push(Waiting::new(incident.clone(), alarm.clone(), *salt, service, now));
        }
        let group = ruling.decision.incident().and_then(|incident| self.board.group(incident));
        let news = match &ruling.decision {
            // It is told once it stays: whoever flaps would wake somebody each time.
            Decision::Joined { how: How::Flapping, .. } => None,
            _ if source == PUT_OFF => group.and_then(Group::news_of_what_stays),
            _ => group.and_then(|group| group.news(&alarm)),
        };
        self.board.apply(&alarm, ruling, &self.orders.grouping, now);
        self.consequences(&alarm, ruling, news, batch);
        let noted = Noted::Alarm { alarm: Box::new(alarm), ruling: ruling.clone() };
        batch.rows.push(Row { at: now, source: source.to_owned(), message: message.cloned(), noted });
    }

    /// What still fires of an incident that was handed back is looked at anew.
    fn anew(
        &mut self,
        incident: &IncidentId,
        by: &str,
        room: &mut usize,
        batch: &mut Batch,
    ) -> Result<Onward, Refusal> {
        let alarms = match self.board.firing(incident) {
            Firing::Nothing => return Ok(Onward::Nothing),
            Firing::Elsewhere(other) => return Ok(Onward::In(other)),
            Firing::Still(alarms) => alarms,
        };
        *room = room.checked_sub(1).ok_or(Refusal::Full)?;
        let mut opened: Option<IncidentId> = None;
        for alarm in alarms {
            let after = (incident, by);
            let ruling = self.board.anew(&alarm, &self.orders, after, opened.as_ref(), rand::random());
            let ruling = ruling.map_err(|error| {
                tracing::error!(%error, alarm = alarm.name, "an alarm cannot be given an incident");
                Refusal::Unwritten
            })?;
            opened = opened.or_else(|| ruling.decision.incident().cloned());
            self.settle(alarm, &ruling, (HANDED_BACK, None), batch);
        }
        Ok(opened.map_or(Onward::Nothing, Onward::Opened))
    }

    fn consequences(&mut self, alarm: &Alarm, ruling: &Ruling, news: Option<News>, batch: &mut Batch) {
        let tell = |incident: &IncidentId| Effect::Tell {
            incident: incident.clone(),
            alarm: Box::new(alarm.clone()),
            ruling: ruling.clone(),
        };
        match &ruling.decision {
            Decision::Joined { incident, absorbs, how, .. } => {
                for other in absorbs {
                    self.absorbed(other, incident, batch);
                }
                batch.effects.push(tell(incident));
                if let Some(news) = news {
                    let (incident, alarm) = (incident.clone(), Box::new(alarm.clone()));
                    batch.effects.push(Effect::More { incident, alarm, how: *how, news });
                }
            }
            Decision::Updated { incident, all_clear, told_at, .. } => {
                batch.effects.push(tell(incident));
                if *all_clear
                    && told_at.is_none()
                    && self.board.group(incident).is_some_and(Group::is_finished)
                {
                    let (incident, alarm) = (incident.clone(), Box::new(alarm.clone()));
                    batch.effects.push(Effect::Over { incident, alarm });
                }
            }
            Decision::Opened { incident, .. } => batch.effects.push(Effect::Opened {
                incident: incident.clone(),
                alarm: Box::new(alarm.clone()),
                at: self.clock.now(),
            }),
            Decision::Suppressed { .. } | Decision::Noted { .. } | Decision::Duplicate { .. } => {}
        }
    }

    /// An incident that is part of another one, and has not been begun, need not be.
    fn absorbed(&mut self, incident: &IncidentId, into: &IncidentId, batch: &mut Batch) {
        let in_batch = batch.waiting.iter().position(|waiting| waiting.incident == *incident);
        let waits = if let Some(at) = in_batch {
            batch.waiting.remove(at);
            true
        } else {
            let withdrawn = self.queue().withdraw(incident);
            let waits = withdrawn.is_some();
            batch.withdrawn.extend(withdrawn);
            waits
        };
        if waits {
            let why = Some(format!("it is part of {into}"));
            self.finish(Noted::Finished { incident: incident.clone(), outcome: None, why }, batch);
        }
        let begun = if waits { Begun::No } else { Begun::Yes };
        batch.effects.push(Effect::Absorbed { incident: incident.clone(), into: into.clone(), begun });
    }

    fn finish(&mut self, noted: Noted, batch: &mut Batch) {
        let at = self.clock.now();
        if let Noted::Finished { incident, outcome, .. } = &noted {
            self.board.finish(incident, Noted::with_a_person(*outcome), at);
        }
        batch.rows.push(Row { at, source: OURSELVES.to_owned(), message: None, noted });
    }

    /// Lets things happen that are written down; undoes what was done before.
    async fn perform(&self, batch: Batch, written: bool) {
        let Batch { waiting, withdrawn, effects, .. } = batch;
        let to_queue = if written { waiting } else { withdrawn };
        if !to_queue.is_empty() {
            let mut queue = self.queue();
            for waiting in to_queue {
                queue.push(waiting);
            }
            drop(queue);
            self.standing.wake.notify_one();
        }
        if !written {
            return;
        }
        for effect in effects {
            if self.effects.send(effect).await.is_err() {
                tracing::debug!("nobody listens to what came in any more");
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.standing.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.standing.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
