//! What goes into the machine and what comes out of it.

use std::sync::Arc;

use crate::fetch::{AskFailure, AskId};
use crate::id::{Digest, NodeId};
use crate::reject::Reject;
use crate::seal::{News, Refused};
use crate::slice::Origin;
use crate::state::StateBlock;
use crate::time::{Span, Time};
use crate::trust::TrustReport;
use crate::view::Prefix;
use crate::wire::{Request, Response};

/// The host's name for a gossip message that waits for a [`Verdict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TicketId(pub u64);

/// The host's name for a request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplyId(pub u64);

/// What is to become of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Accept,
    /// Neither forward it nor hold it against the one who brought it.
    Ignore,
    /// Invalid: whoever brought it should not have.
    Reject,
}

/// What a round of local training came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// Digest of the body the host has made and keeps.
    pub digest: Digest,
    /// The body's length.
    pub body_bytes: u32,
    /// Local steps done.
    pub steps: u32,
}

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// A peer takes part in the run over a connection.
    PeerUp {
        /// Who.
        peer: NodeId,
        /// Where its address lies.
        prefix: Option<Prefix>,
    },
    /// It no longer does.
    PeerDown {
        /// Who.
        peer: NodeId,
    },
    /// A gossip message came. Answered by [`Output::Verdict`] at once.
    Gossip {
        /// Its name.
        ticket: TicketId,
        /// Who handed it over (not who wrote it).
        from: NodeId,
        /// What it says, opened in the scope of this machine's network and run.
        news: Result<Arc<News>, Refused>,
    },
    /// A peer asks.
    Request {
        /// Where the answer goes.
        reply: ReplyId,
        /// Who asks.
        from: NodeId,
        /// The question's bytes.
        bytes: Vec<u8>,
    },
    /// The end of an [`Output::Ask`].
    Answer {
        /// Which.
        ask: AskId,
        /// The bytes, or why there are none.
        result: Result<Vec<u8>, AskFailure>,
    },
    /// The end of an [`Output::Admit`].
    Admitted {
        /// Which body.
        digest: Digest,
        /// Whether it decodes.
        result: Result<(), Reject>,
    },
    /// The end of an [`Output::Train`].
    Trained {
        /// The round trained in.
        round: u64,
        /// The delta; `None` for a warm-up or a training that failed.
        learned: Option<Learned>,
    },
    /// The end of an [`Output::Apply`].
    Applied {
        /// The round mixed.
        round: u64,
        /// Root mean square of the distance to the slices received.
        slice_rms: f32,
        /// Root mean square of what the mix changed.
        update_rms: f32,
    },
    /// The end of an [`Output::Adopt`].
    Adopted {
        /// Whether the pieces made a model.
        adopted: bool,
    },
}

/// One body to mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub author: NodeId,
    /// Which.
    pub digest: Digest,
    /// How many rounds late it is.
    pub lag: u64,
    /// Examples in its author's shard, as claimed.
    pub samples: u32,
}

/// What the host is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Train, compress, keep the body; answer with [`Input::Trained`].
    Train {
        /// The round.
        round: u64,
        /// Most steps.
        steps: u32,
        /// When to stop though fewer are done.
        until: Time,
        /// Steps that others do in a round, to scale by (FedNova); `None`: do not scale.
        reference_steps: Option<u32>,
        /// Only settle the optimizer's state after a join: learn nothing, answer without a delta.
        warm_up: bool,
    },
    /// Make sure, synchronously, that no later start of this identity uses a number below this.
    /// Must be durable before any later output is carried out.
    ReserveSequence {
        /// The first number still free.
        upto: u64,
    },
    /// Gossip this frame, followed by the body with this digest if one is named.
    Publish {
        /// The signed announce.
        frame: Vec<u8>,
        /// The body to append.
        inline: Option<Digest>,
    },
    /// Tell the gossip layer what to do with a message.
    Verdict {
        /// Which.
        ticket: TicketId,
        /// What.
        verdict: Verdict,
    },
    /// Ask a peer; answer with [`Input::Answer`], in any case.
    Ask {
        /// The question's name.
        ask: AskId,
        /// Whom.
        peer: NodeId,
        /// What.
        request: Request,
        /// Most bytes of the answer: check before allocating.
        bytes_max: usize,
        /// When to give up.
        timeout: Span,
    },
    /// Answer a peer with this.
    Respond {
        /// Where to.
        reply: ReplyId,
        /// What.
        response: Response,
    },
    /// Answer a peer with a body, or [`Response::NotHere`].
    ServeBody {
        /// Where to.
        reply: ReplyId,
        /// Which.
        digest: Digest,
    },
    /// Answer a peer with a block of the weights.
    ServeState {
        /// Where to.
        reply: ReplyId,
        /// Which.
        block: u32,
        /// The round to name in the answer.
        round: u64,
    },
    /// Answer a peer with the trust table.
    ServeTrust {
        /// Where to.
        reply: ReplyId,
    },
    /// Decode this body, whose hash holds, and keep it; answer with [`Input::Admitted`].
    Admit {
        /// Its digest.
        digest: Digest,
        /// By whom and for which round it was announced.
        origin: Origin,
        /// Its bytes.
        body: Vec<u8>,
    },
    /// These decoded bodies are not needed any more.
    Forget {
        /// Which.
        digests: Vec<Digest>,
    },
    /// Mix the own delta and these; answer with [`Input::Applied`].
    Apply {
        /// The round.
        round: u64,
        /// `n`: live nodes, this one included.
        live: usize,
        /// At most one for each author.
        entries: Vec<Entry>,
    },
    /// Save everything as of the start of this round.
    Checkpoint {
        /// The round.
        round: u64,
    },
    /// Keep a donor's state block for [`Output::Adopt`]; a donor's blocks come in order from 0.
    KeepBlock {
        /// Whose.
        donor: NodeId,
        /// The block.
        block: StateBlock,
    },
    /// Keep a donor's trust table.
    KeepTrust {
        /// Whose.
        donor: NodeId,
        /// The table.
        table: TrustReport,
    },
    /// This donor's pieces are of no use.
    DropPieces {
        /// Whose.
        donor: NodeId,
    },
    /// Make the donors' pieces this node's state; answer with [`Input::Adopted`].
    Adopt {
        /// Whose pieces.
        donors: Vec<NodeId>,
        /// The round they are of.
        round: u64,
    },
    /// Disconnect a peer and do not let it back for a while.
    Ban {
        /// Whom.
        peer: NodeId,
        /// How long.
        span: Span,
    },
    /// The asked number of rounds is done.
    Finished {
        /// Rounds done.
        round: u64,
    },
}

/// Outputs in the order in which they must be carried out.
pub type Outbox = Vec<Output>;
