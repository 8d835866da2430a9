"""A model of the claim protocol (ARCHITECTURE.md, "The life of a command", "Taking over"), explored to the last state.

What is in it: owners that come one after the other, every one of them with a takeover, lanes, claims, a lease and a
buffer of results; the group's coordinator with one stored offset and its metadata; the results log as a reader sees
it who leaves void records out; the venue; a tool that resets the group's offset, or a topic that is deleted and made
again; commands that are put off and answered later. Every order of these is tried: a commit that arrives late or
never, an acknowledgement that comes after the partition is lost, a buffer that is flushed under the eyes of the
successor, a write that the venue never saw, a rebalance that the owner survives.

How it is kept small, and why nothing is lost by it:

- An owner that crashes, leaves or is cut off is one that never moves again. It stays in the model as a predecessor
  and may do nothing; so there is no step for a crash, and none for a lost message: it is one that never arrives.
- There are no processes, only terms: any standby, or the same process again, begins the next one. All predecessors
  may be awake at once, which is more than two processes could do.
- Time is what may have passed: a lease and the age of a commit run out at any moment, and a term is over at the
  coordinator only after them. That is the inequality of the settings, lease < session timeout, which
  `config/timing.py` holds; a frozen process is one that does nothing while that happens.
- A generation of the group ends when the partition is assigned anew. Commits of an older one are refused, so they are
  taken off the network at once; except where a planted mistake accepts them. A rebalance that leaves the partition
  where it is has the commit of an epoch made again as it was, and any other begun anew.
- A predecessor whose records are void, and which cannot write to the venue any more, is left out. That this changes
  nothing is a test.

What the model says about rule 2, a commit without an answer. One that waits, because the brokers are away or because
it was written and the answer is late, may wait for ever without harm: no other is handed over meanwhile, and its lease
runs from the hand-over. Going on without its answer in the same generation is `Mistake.UNCERTAIN_CONTINUE`; giving it
up for a rebalance is sound because the new generation refuses it, and only then: a rejoin that leaves the generation
as it is falls under the mistake.

What is not in it: rates and lanes that are full (any waiting command may be claimed or not, denied or not), the
horizon and the retention of topics, an owner that lives on after its topic was made again, dead letters, a commandId
that is used again, orders after their ack, the non-terminal `unknown`, and several partitions; nor that a group is
deleted before its first owner has announced itself, whose epoch the next one would take again. Late landings at the
venue count as sent or not at the moment of the write, since `not_found` is only said when nothing can land any more.

Bounds: up to three commands and two to five takeovers, see `trials.py`. The model decides with the functions of the
code: `core.claims` writes and reads the commit's metadata and moves the watermark, `core.takeover_plan` says where a
takeover begins, and `core.life` is asked for every step of a command. Where it decides for itself, tests hold it
against the code: the reader's view against `core.replay.ReplayedResults`, and every takeover that is met against a
real `core.account.Account`.
"""
