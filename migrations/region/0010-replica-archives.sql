-- A replica has no archives: what a statement reads of all stored events is there what is in the table.
create view replica.stored_event with (security_invoker = true) as
  select workspace_id, sequence, id, company_id, project_id, term, body, null::bytea as body_hash, prev_hash, hash,
    occurred_at, received_at, action, category, target_type, actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag,
    identity_blob, content_blob, erased_at, actor_pseudonym, null::uuid as object_id
  from replica.event;
grant select on replica.stored_event to {{service}};
