-- Ids that were answered for events which turned out to be recorded already: the first answer to an idempotency key was
-- lost, the repeat was queued under another id. Whoever asks by that id gets the first event, for ever.
create table event_alias (
  id uuid primary key,
  company_id uuid not null,
  workspace_id uuid not null,
  event_id uuid not null,
  created_at timestamptz(3) not null default now()
);
create trigger append_only before update or delete on event_alias for each row execute function refuse_rewrite();
create trigger append_only_truncate before truncate on event_alias for each statement execute function refuse_rewrite();
alter table event_alias enable always trigger append_only;
alter table event_alias enable always trigger append_only_truncate;
alter table event_alias enable row level security;
alter table event_alias force row level security;
create policy tenant on event_alias using (company_id = any ((select visible_companies())::uuid[])) with check (company_id = any ((select visible_companies())::uuid[]));
grant select, insert on event_alias to {{service}};
