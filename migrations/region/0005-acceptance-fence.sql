-- A fence between what was accepted before and after a moment. Whoever accepts an event knows an epoch of the region's
-- keys; one below the fence says that the event may have been accepted before the fence was raised, and such an event is
-- not committed any more: it is accepted anew. -1: never raised.
alter table key_epoch add column fence bigint not null default -1;

-- Raises the fence: waits for every commit under way. What is committed later was accepted later.
create function raise_fence() returns void language plpgsql security definer as $$
begin
  perform pg_advisory_xact_lock(7265646163746564);
  update key_epoch set epoch = epoch + 1, fence = epoch + 1;
end $$;
do $$
begin
  execute format('alter function raise_fence() set search_path = %I, pg_temp', current_schema());
end $$;
revoke execute on function raise_fence() from public;
grant execute on function raise_fence() to {{service}};
