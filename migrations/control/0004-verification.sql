-- What verifying each chain came to, and how far the verification under way has got. No personal data. The columns of
-- the pass let a chain be verified a slice at a time, by whichever process is there.

create table chain_verification (
  workspace_id uuid primary key references workspace (id),
  -- The last verdict on the whole chain; null before the first.
  status text check (status in ('OK', 'OK_WITH_ERASURES', 'BROKEN')),
  verified_at timestamptz(3),
  head_sequence bigint,
  head_hash bytea check (length(head_hash) = 32),
  erased_events bigint,
  break_reason text,
  break_sequence bigint,
  break_event_id uuid,
  -- The pass under way: what was verified from the first event on; null where none is.
  pass_started_at timestamptz(3),
  pass_sequence bigint check (pass_sequence >= 1),
  pass_hash bytea check (length(pass_hash) = 32),
  pass_frontier bytea check (length(pass_frontier) % 32 = 0),
  pass_next_term bigint,
  pass_erased_events bigint,
  check ((status is null) = (verified_at is null)),
  check (num_nulls(pass_started_at, pass_sequence, pass_hash, pass_frontier, pass_next_term, pass_erased_events) in (0, 6))
);

grant select, insert, update on chain_verification to {{service}};
