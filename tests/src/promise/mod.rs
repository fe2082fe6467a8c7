//! What must hold at each step, whoever takes the steps: the exhaustive check and the simulator judge by the same rules.
//! Beside them stand the authorization server and the view of the stored bytes that both share.

pub(crate) mod running;
pub(crate) mod server;
pub(crate) mod stored;

pub use server::Replay;

use kraube_core::credential::{Failure, LoginReason, Ready};
use kraube_core::policy::Policy;
use kraube_core::record::Refusal;
use kraube_core::secret::Fingerprint;
use kraube_core::time::Timestamp;
use server::{Asks, Family, Server, Token};
use stored::Stored;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Two processes hold the lock.
    TwoHolders,
    /// Two living processes redeem at once.
    TwoRedemptions,
    /// A token is redeemed that is known to be spent.
    SpentSent,
    /// Somebody tries before the recorded `retryAt`.
    TriedTooSoon,
    /// A token is redeemed though the stored access token is fresh and was not rejected.
    NeedlessRotation,
    /// A refresh token is sent to another host than the token endpoint.
    Leaked,
    /// Tokens were received and are neither stored, kept nor superseded.
    RotationDropped,
    /// The same of a new login.
    LoginDropped,
    /// A write changed tokens or members that it must not change.
    Overwritten,
    /// What is stored is neither the old record nor a new one, and no other program is writing.
    Torn,
    /// A write of ours left a file that others may read.
    Exposed,
    /// A write of ours put a file in the place of the link to it.
    LinkReplaced,
    /// Tokens were written after a logout.
    WrittenBack,
    /// A rotation was written over another login.
    OverOtherLogin,
    /// A logout deleted another login.
    OtherDeleted,
    /// A token was served that is expired or rejected.
    BadToken,
    /// A token of another login than the run began with was served.
    OtherAccount,
    /// A run of a world without faults ended without a fresh token.
    Needless,
    /// New tokens could not be stored, though the disk kept to its promise of room.
    NeedlessUnsaved,
    /// A refusal was reported with the wrong reason.
    WrongReason,
    /// A login is lost although nothing happened that may cost it.
    LoginLost,
    /// The machine was given a wrong input.
    Misuse,
    /// A process waits and nobody can move.
    Deadlock,
    /// A run that need not end.
    Endless,
}

/// What is wrong, with the particulars.
pub(crate) type Wrong = Vec<(Kind, String)>;

/// What is known of a run from outside.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Facts {
    /// Tokens that were received and not stored yet. They may be of an earlier run of the process.
    pub(crate) received: Option<Received>,
    /// The refresh token that it sent last.
    pub(crate) sent: Option<Token>,
    /// The family that it saw first.
    pub(crate) saw: Option<u8>,
    /// The family that it could read last, or that was there when it could not read yet; `None` where nothing was stored.
    pub(crate) over: Option<u8>,
    /// It could read what is stored, or that nothing is.
    looked: bool,
}

impl Facts {
    /// What the run before has left.
    pub(crate) fn left(&mut self) -> Self {
        Self { received: self.received.take(), ..Self::default() }
    }

    pub(crate) fn reads(&mut self, file: Option<&Stored>) {
        self.saw = self.saw.or(file.and_then(|file| file.refresh).map(|(family, _)| family));
        if file.is_none_or(|file| file.others.is_some()) {
            self.over = file.and_then(|file| file.access).map(|(family, _)| family);
            self.looked = true;
        }
    }

    /// A read has failed.
    pub(crate) fn cannot_read(&mut self, there: Option<&Stored>) {
        if !self.looked {
            self.over = there.and_then(|file| file.access).map(|(family, _)| family);
        }
    }
}

/// Tokens that were received and not stored yet.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Received {
    pub(crate) access: Token,
    /// The refresh token that was redeemed for them; `None` for a new login.
    pub(crate) parent: Option<Token>,
    /// The family that the run could read last before.
    pub(crate) over: Option<u8>,
}

pub(crate) fn require(wrong: &mut Wrong, fine: bool, kind: Kind, what: impl FnOnce() -> String) {
    if !fine {
        wrong.push((kind, what()));
    }
}

/// A token is served. `login`: the family that the run saw first.
pub(crate) fn serves(
    wrong: &mut Wrong,
    p: u8,
    ready: &Ready,
    rejected: Option<Fingerprint>,
    login: Option<u8>,
    now: Timestamp,
) {
    let good = ready.expires_at > now && Some(ready.access_token.fingerprint()) != rejected;
    require(wrong, good, Kind::BadToken, || format!("process {p} is given a token of no use"));
    let login = login.map(|family| format!("L{family}"));
    let theirs = ready.login.as_ref().map(|login| &login.0);
    let same = theirs.is_none() || login.is_none() || theirs == login.as_ref();
    require(wrong, same, Kind::OtherAccount, || format!("process {p} saw {login:?} and gets {:?}", ready.login));
}

/// A refresh token is sent. `quiet`: the recorded back-off.
pub(crate) fn redeems(
    wrong: &mut Wrong,
    p: u8,
    token: Token,
    server: &Server,
    quiet: Option<(Option<Token>, Timestamp)>,
    now: Timestamp,
) {
    let (family, generation) = token;
    let known = &server.families[usize::from(family)];
    let fine = !known.is_spent(generation) || known.is_doubted(generation);
    require(wrong, fine, Kind::SpentSent, || format!("process {p} redeems {token:?}"));
    // A time that is too far ahead to be true is void; here none is meant to be half as far.
    let runs = |until: Timestamp| until > now && until.since(now) <= Policy::RETRY_MAX.half();
    let early = quiet.is_some_and(|(quiet, until)| quiet == Some(token) && runs(until));
    require(wrong, !early, Kind::TriedTooSoon, || format!("process {p} redeems {token:?}"));
}

/// A record is written over `old`. `obtains`: by a run that may write what it received and marks, and nothing else.
pub(crate) fn writes(wrong: &mut Wrong, p: u8, old: Option<&Stored>, new: &Stored, obtains: bool, facts: &Facts) {
    let others = old.and_then(|old| old.others.as_ref());
    let kept = others.is_none() || others == new.others.as_ref();
    require(wrong, kept, Kind::Overwritten, || "members of others are changed".into());
    let old = old.map(|old| (old.refresh, old.access)).filter(|old| *old != (None, None));
    if !obtains || old == Some((new.refresh, new.access)) {
        return;
    }
    let received = facts.received.as_ref();
    let own = received.is_some_and(|received| Some(received.access) == new.access);
    require(wrong, own, Kind::Overwritten, || format!("tokens {old:?} become {:?}", (new.refresh, new.access)));
    if received.is_some_and(|received| received.parent.is_some()) {
        let family = |token: Option<Token>| token.map(|(family, _)| family);
        match old {
            None => require(wrong, false, Kind::WrittenBack, || format!("process {p} stores {:?}", new.access)),
            Some((refresh, _)) => {
                let same = family(refresh) == family(new.refresh);
                require(wrong, same, Kind::OverOtherLogin, || format!("{refresh:?} becomes {:?}", new.refresh));
            }
        }
    }
}

/// A logout deletes the login that it saw first. (A record without a login id says nothing: whoever wrote it may have
/// dropped the id.)
pub(crate) fn deletes(wrong: &mut Wrong, p: u8, stored: Option<&Stored>, facts: &Facts) {
    let family = stored.and_then(|stored| stored.access).map(|(family, _)| family);
    let fine = facts.saw.is_none() || facts.saw == family || stored.is_some_and(|stored| stored.login.is_none());
    require(wrong, fine, Kind::OtherDeleted, || {
        format!("process {p} saw family {:?} and deletes {family:?}", facts.saw)
    });
}

/// Received tokens are stored, or followed by others, or of a login that was replaced or forgotten.
pub(crate) fn is_settled(received: &Received, visible: Option<&Stored>) -> bool {
    let (family, number) = received.access;
    let new = received.parent.is_none();
    match visible.map(|stored| stored.access) {
        Some(Some((stored, at))) if stored == family => at >= number,
        Some(Some((stored, _))) => !new || received.over != Some(stored),
        Some(None) | None => !new || received.over.is_some(),
    }
}

/// Received tokens must be settled when their process does not keep them any more.
pub(crate) fn drops(wrong: &mut Wrong, p: u8, received: &Received, visible: Option<&Stored>) {
    let kind = if received.parent.is_some() { Kind::RotationDropped } else { Kind::LoginDropped };
    require(wrong, is_settled(received, visible), kind, || format!("process {p} has dropped {:?}", received.access));
}

/// What a failure is judged by.
pub(crate) struct Case<'a> {
    pub(crate) server: &'a Server,
    /// What is stored, or about to be.
    pub(crate) stored: Option<&'a Stored>,
    /// What the run read last.
    pub(crate) read: Option<&'a Stored>,
    /// There may be a mark although nothing was sent.
    pub(crate) marks: bool,
    /// A refresh that is in doubt may cost a login of this family.
    pub(crate) may_lose: &'a dyn Fn(u8) -> bool,
}

/// A run ends without a token, or with one that is stale.
pub(crate) fn fails(wrong: &mut Wrong, p: u8, failure: &Failure, facts: &Facts, case: &Case<'_>) {
    match failure {
        Failure::LoginRequired(LoginReason::Refused(reason)) => refuses(wrong, p, *reason, facts, case),
        Failure::Unavailable { .. } => doubts(wrong, p, false, facts, case),
        Failure::Uncertain { .. } => doubts(wrong, p, true, facts, case),
        Failure::LoginRequired(_) | Failure::AccountChanged { .. } | Failure::Misuse { .. } | _ => {}
    }
}

/// Doubt is told where there is cause for it, of the token that is stored, and nowhere else.
fn doubts(wrong: &mut Wrong, p: u8, told: bool, facts: &Facts, case: &Case<'_>) {
    let stored = case.stored.and_then(|stored| stored.refresh);
    let sent = facts.sent.filter(|sent| stored == Some(*sent));
    let family = |token: Token| (&case.server.families[usize::from(token.0)], token.1);
    let doubted = sent.map(family).is_some_and(|(family, generation)| family.is_doubted(generation));
    require(wrong, told || !doubted, Kind::WrongReason, || format!("process {p} is not told of the doubt of {sent:?}"));
    let cause = |(family, generation): (&Family, u8)| family.is_doubted(generation) || family.is_unknown(generation);
    let read = case.read.and_then(|read| read.refresh);
    let cause = case.marks || [stored, sent, read].into_iter().flatten().map(family).any(cause);
    require(wrong, !told || cause, Kind::WrongReason, || {
        format!("process {p} is told of a doubt of {stored:?} that nothing gave cause for")
    });
}

/// A login may be lost where an answer was, or a process with one; and then that must be said.
fn refuses(wrong: &mut Wrong, p: u8, reason: Refusal, facts: &Facts, case: &Case<'_>) {
    let read = case.read.and_then(|read| read.access);
    let Some((number, _)) = read.or(facts.sent) else { return };
    let sent = facts.sent.filter(|(family, _)| *family == number);
    let family: &Family = &case.server.families[usize::from(number)];
    if family.on_request {
        return;
    }
    let may_be_lost = family.doubted != 0 && (case.may_lose)(number);
    require(wrong, may_be_lost, Kind::LoginLost, || format!("process {p} hears {}", reason.code()));
    let doubted = |(_, generation): Token| family.is_doubted(generation);
    let cause = sent.is_none_or(doubted) || case.marks;
    let fine = if reason == Refusal::RotationLost { cause } else { !may_be_lost };
    require(wrong, fine, Kind::WrongReason, || format!("process {p} hears {}", reason.code()));
}

/// Whether somebody alive is redeeming a token of the family.
pub(crate) fn at_once(asks: &Asks, family: u8) -> bool {
    matches!(asks, Asks::Refresh(other) if other.0 == family)
}
