-- Background jobs: which ticks were taken, who is at work, and what came of it; and how the regions are.

-- A tick of a job's schedule, taken by whoever inserts it. Its time is the schedule's, not a clock's, so processes whose
-- clocks differ mean the same row. '' stands for a job that has one run for all regions.
create table job_slot (
  job text not null,
  region text not null check (region in ('', 'AU', 'US', 'EU', 'APAC')),
  slot timestamptz(3) not null,
  taken_at timestamptz(3) not null default now(),
  primary key (job, region, slot)
);

create table job_run (
  id uuid primary key,
  job text not null,
  -- Null: all regions, or none in particular.
  region text check (region in ('AU', 'US', 'EU', 'APAC')),
  -- The tick it belongs to; null where somebody started it.
  slot timestamptz(3),
  -- The how-manieth run of its tick: one whose process died is made up for once.
  attempt integer not null default 1,
  started_at timestamptz(3) not null default clock_timestamp(),
  finished_at timestamptz(3),
  outcome text not null check (outcome in ('RUNNING', 'SUCCEEDED', 'FAILED', 'SKIPPED')),
  processed bigint not null default 0 check (processed >= 0),
  -- A few fixed words, never the text of an error.
  error text,
  -- The place that the run told it had come to: JSON of ours, no personal data.
  progress jsonb,
  check ((outcome = 'RUNNING') = (finished_at is null))
);
create index job_run_job on job_run (job, started_at desc, id desc);
create index job_run_finished on job_run (finished_at);

-- Whoever is at work, so that nobody else begins the same. The holder renews it; a lease that is over belongs to a
-- process that died or can't reach this database, and stops its work by itself before that moment.
create table job_lease (
  job text not null,
  region text not null check (region in ('', 'AU', 'US', 'EU', 'APAC')),
  run_id uuid not null references job_run (id),
  expires_at timestamptz(3) not null,
  primary key (job, region)
);

-- What the last health check of each region found.
create table region_state (
  region text primary key check (region in ('AU', 'US', 'EU', 'APAC')),
  state text not null check (state in ('HEALTHY', 'UNHEALTHY')),
  -- Since when it is in this state.
  since timestamptz(3) not null,
  -- Its database answered; HEALTHY also means that it took a write.
  answers boolean not null,
  latency_ms double precision,
  -- A fixed word where it is not HEALTHY.
  reason text,
  checked_at timestamptz(3) not null
);
create table region_health_check (
  region text not null check (region in ('AU', 'US', 'EU', 'APAC')),
  checked_at timestamptz(3) not null,
  answers boolean not null,
  writable boolean not null,
  latency_ms double precision,
  reason text,
  primary key (region, checked_at)
);
create index on region_health_check (checked_at);

-- Each check is told to every process, which then need not ask.
create function notify_region_state() returns trigger language plpgsql as $$
begin
  perform pg_notify('hyrelog_region_state', to_jsonb(new)::text);
  return null;
end $$;
create trigger notify_region_state after insert or update on region_state for each row execute function notify_region_state();

grant select, insert, update, delete on job_slot, job_run, job_lease, region_health_check to {{service}};
grant select, insert, update on region_state to {{service}};
