-- A fence between what was accepted before and after a moment, for events that come into the queue: one that was accepted
-- knowing a lower number may have been accepted before an erasure ended, and is not queued but accepted anew.
alter table region_mode add column fence bigint not null default 0;
