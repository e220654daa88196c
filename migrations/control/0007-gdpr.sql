-- Requests of data subjects: who asked for whom to be erased, who agreed, how far it is, and what was done.

-- Off only where a company has a single OWNER, who then approves what it asked for itself.
alter table company add column four_eyes boolean not null default true;

create table gdpr_request (
  id uuid primary key,
  company_id uuid not null references company (id),
  request_type text not null check (request_type in ('ANONYMIZE', 'DELETE')),
  status text not null check (status in ('CUSTOMER_PENDING', 'CUSTOMER_APPROVED', 'ADMIN_APPROVED', 'PROCESSING', 'DONE', 'REJECTED', 'FAILED')),
  requested_by uuid not null references app_user (id),
  four_eyes boolean not null,
  -- The subject's identifiers and the reason given, sealed under a key of the request's own that is kept, wrapped, in
  -- the company's primary region and destroyed before the request is DONE.
  identifiers_sealed bytea,
  key_region text not null check (key_region in ('AU', 'US', 'EU', 'APAC')),
  key_id uuid not null,
  key_destroyed_at timestamptz(3),
  -- Masked while the request is open, then the digest: an HMAC under the request's secret.
  subject text not null,
  subject_digest text not null,
  -- HMAC of the identifiers under the company's tag key, so that a second request joins an open one.
  subject_tag bytea check (length(subject_tag) = 32),
  -- 32 random bytes, sealed under the control master key: of them come the digest and the pseudonym.
  secret_sealed bytea not null,
  matched_events bigint not null default 0,
  erased_events bigint not null default 0,
  -- Why it failed, or why it was rejected.
  failure text,
  created_at timestamptz(3) not null,
  -- When nothing of the subject was left but the request's own key.
  erased_at timestamptz(3),
  completed_at timestamptz(3),
  unique (id, requested_by, four_eyes),
  check ((status in ('DONE', 'REJECTED')) <= (subject_tag is null and identifiers_sealed is null)),
  check ((status = 'DONE') <= (completed_at is not null and erased_at is not null and key_destroyed_at is not null))
);
create unique index gdpr_request_open_subject on gdpr_request (company_id, subject_tag) where subject_tag is not null;
create index on gdpr_request (company_id, created_at, id);
create index on gdpr_request (created_at, id);
create index gdpr_request_at_work on gdpr_request (created_at)
  where status in ('ADMIN_APPROVED', 'PROCESSING') or (status = 'REJECTED' and key_destroyed_at is null);
alter table gdpr_request alter column subject_tag set statistics 0, alter column subject set statistics 0;

-- Nobody approves what it asked for, and nobody approves twice, whatever the service believes.
create table gdpr_approval (
  request_id uuid not null,
  approval_type text not null check (approval_type in ('CUSTOMER_APPROVAL', 'ADMIN_APPROVAL')),
  approved_by uuid not null references app_user (id),
  requested_by uuid not null,
  four_eyes boolean not null,
  created_at timestamptz(3) not null,
  primary key (request_id, approval_type),
  unique (request_id, approved_by),
  foreign key (request_id, requested_by, four_eyes) references gdpr_request (id, requested_by, four_eyes),
  constraint gdpr_approval_four_eyes check (approved_by <> requested_by or (not four_eyes and approval_type = 'CUSTOMER_APPROVAL'))
);

-- How far each chain has been looked through.
create table gdpr_scan (
  request_id uuid not null references gdpr_request (id),
  workspace_id uuid not null references workspace (id),
  scanned_to bigint not null,
  primary key (request_id, workspace_id)
);

-- What was erased where.
create table gdpr_evidence (
  request_id uuid not null references gdpr_request (id),
  region text not null check (region in ('AU', 'US', 'EU', 'APAC')),
  store text not null,
  records bigint not null check (records >= 0),
  completed_at timestamptz(3) not null,
  primary key (request_id, region, store)
);

-- While one is in force nothing of its subject, or of the whole company where it names none, is erased.
create table legal_hold (
  id uuid primary key,
  company_id uuid not null references company (id),
  -- Equality tags under the company's tag key; cleared when the hold is released.
  actor_id_tag bytea check (length(actor_id_tag) = 16),
  actor_email_tag bytea check (length(actor_email_tag) = 16),
  whole_company boolean not null,
  reason text not null check (length(reason) between 1 and 500),
  created_by uuid not null references app_user (id),
  created_at timestamptz(3) not null,
  released_at timestamptz(3),
  check (released_at is not null or whole_company = (actor_id_tag is null and actor_email_tag is null))
);
create index legal_hold_in_force on legal_hold (company_id) where released_at is null;
alter table legal_hold alter column actor_id_tag set statistics 0, alter column actor_email_tag set statistics 0;

grant select, insert, update on gdpr_request, gdpr_scan, gdpr_evidence, legal_hold to {{service}};
grant select, insert on gdpr_approval to {{service}};
-- The index forgets by whom and about whom an erased event was.
grant update (actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag) on event_index to {{service}};
