-- Which events an export is of, and how far the erasure of a request has come with each archive object.

alter table export_job add column scope text not null default 'HOT' check (scope in ('HOT', 'ARCHIVED', 'ALL'));

-- done_at null: the object is in cold storage and waits for its restore. No personal data.
create table gdpr_archive (
  request_id uuid not null references gdpr_request on delete cascade,
  object_id uuid not null,
  region text not null check (region in ('AU', 'US', 'EU', 'APAC')),
  done_at timestamptz(3),
  primary key (request_id, object_id)
);
grant select, insert, update, delete on gdpr_archive to {{service}};

-- Before when what a workspace received has been archived, whatever its retention is now: not to be counted among what
-- lists without archives show.
create table workspace_archive (
  workspace_id uuid primary key references workspace,
  received_before timestamptz(3) not null
);
grant select, insert, update on workspace_archive to {{service}};
