-- Regions that did not answer when somebody's data was to be erased in them. When one is back, nothing of the company is
-- read from it before the erasure has been carried out there.
create table erasure_debt (
  request_id uuid not null references gdpr_request (id) on delete cascade,
  region text not null check (region in ('AU', 'US', 'EU', 'APAC')),
  company_id uuid not null references company (id),
  noted_at timestamptz(3) not null default now(),
  primary key (request_id, region)
);
create index on erasure_debt (company_id);
create trigger notify_fact after insert or update or delete on erasure_debt for each row execute function notify_fact();
grant select, insert, delete on erasure_debt to {{service}};
