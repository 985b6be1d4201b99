-- The job store on Redis. Each function is one verb of shared/store/src/ports, one atomic step on the server.
--
-- The files of this folder are one library, put together in the order that shared/store/redis/src/library.rs gives. What is
-- decided here is decided by the rules of shared/store/src/rules; random interleavings of the verbs hold it to them.
--
-- All keys of a call share a hash tag, so that they lie in one slot of a cluster. The tag is the function's one key: {rm}, or, where the
-- store is spread over several shards, the tag of the client's shard. The secret, the number of shards, the list of workers and the time of
-- the last sweep are under {rm}, however many shards there are.
--   {rm}:j:<job>      hash    a job
--   {rm}:c:<client>   zset    a client's ready jobs -> order of arrival
--   {rm}:act          zset    clients with ready jobs -> virtual start
--   {rm}:heads        zset    the same clients -> the moment since which their oldest job has been their oldest
--   {rm}:idle         zset    clients without ready jobs -> where their last job left their virtual start
--   {rm}:vt           string  virtual time
--   {rm}:moments      string  the latest moment; moments are microseconds, and each is later than the one before
--   {rm}:claims       string  claims served so far
--   {rm}:delayed      zset    jobs that wait for a retry -> when it is due
--   {rm}:f:<fence>    string  the job that a claim of this fence was given
--   {rm}:call         string  the latest time at which any worker claimed a job, sent a heartbeat or ran its janitor
--   {rm}:leases       zset    jobs being worked on -> when their lease ends
--   {rm}:expiry       zset    succeeded jobs -> when their result expires
--   {rm}:done         zset    finished jobs -> when they are next considered for forgetting
--   {rm}:b:<batch>    hash    a batch; {rm}:bj:<batch> list of its jobs
--   {rm}:h:<subject>  hash    the webhook of a job or batch
--   {rm}:hk:<host>    zset    webhooks to a host that are to be tried -> when
--   {rm}:hooks        zset    those hosts -> when the first of theirs is due
--   {rm}:seq          string  order of arrival so far
--   {rm}:shards       string  how many shards there are
--   {rm}:secret       string  the 32 bytes under which addresses are hashed
--   {rm}:trash        zset    pictures without a use -> when they may next be handed out for deletion
--   {rm}:failed       zset    failed jobs -> when they failed; {rm}:failed:<code> those of one error code
--   {rm}:withdrawn    zset    jobs that were withdrawn and are not there -> when
--   {rm}:sweep        string  when the last search for orphans began
--   {rm}:paused       string  there while workers are given no jobs; {rm}:drained set of workers that are given none
--   {rm}:n            hash    status -> jobs; reclaimed, poisoned -> how many jobs that has happened to so far
--   {rm}:models       hash    skill that is needed (shared/src/job/skill.rs) -> queued jobs
--   {rm}:open         zset    batches with jobs that have not ended -> when they were submitted (library 10 and later)
--   {rm}:lost         string  how often something was missed: a job or a webhook that was listed, or the batch of a job that ended
--   {rm}:mend         string  there when one was found gone, until housekeeping counts again what was counted with it
--   {rm}:mended       string  when that was begun last
--   {rm}:mending      zset    batches whose jobs are to be counted again
--   {rm}:w            zset    workers -> when they were last heard of; {rm}:wi hash worker -> what it said
--   {rm}:idem:<client>:<key>  string  when, fingerprint, jobs of a submit that may come again
--   {rm}:idems        zset    <client>:<key> of those -> when
--   {rm}:made:<client>:<recipe>  string  the job and its output that is made by this recipe. It may be lost, and has a time to live
--   {rm}:quota:<day>  hash    client -> units used; {rm}:used:<day> their sum; {rm}:days zset of those days
-- What has to last has no time to live, for a server whose policy is volatile-* evicts what has. Housekeeping deletes it.
--   {rm}:bell:<skill> list    holds one entry while a job that needs this skill (none: empty name) may wait for a worker. A worker that
--                             waits takes the entry, so that a job wakes one worker and not all
-- Channels: {rm}:ev and {rm}:wake for nodes of library 5 and older; {rm}:ev:<id> (sharded) says that this job or batch changed, {rm}:hook that a webhook may have become due.
--
-- Times are milliseconds since the Unix epoch. The first argument of a verb is the time, or empty for the server's own.
-- Replies are JSON; a hash is given as it is, all values strings.

local VERSION = 10
-- The prefix of all keys, set by each call.
local P = nil
-- Due retries, lost leases and the like handled in one call, so that none takes long.
local STEP = 200
-- How long an input is kept after its job's end, which a failover may take back (shared/store/src/rules/job.rs).
local INPUT_KEPT = 60000

local function time(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- A number as text that reads back as the same number.
local function exact(number) return string.format('%.17g', number) end

local function hash(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then return nil end
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

-- Tells those who watch this job or batch. Nodes of library 5 and older listen to one channel for all.
local function tell(id)
  redis.call('SPUBLISH', P .. 'ev:' .. id, '1')
  if P == '{rm}:' then redis.call('PUBLISH', P .. 'ev', id) end
end

local function changed(job)
  tell(job.id)
  if job.batch then tell(job.batch) end
end

-- The skill that a job needs, and an empty name when it needs none (shared/src/job/skill.rs). It is kept in the field `model`, where jobs of
-- library 9 and older have the model only, and those of library 5 and older nothing.
local function needed_skill(job)
  if job.model then return job.model end
  local params = cjson.decode(job.params)
  return (params.background and params.model or '') .. (params.faces == 'require' and '+faces' or '')
end

-- Wakes one worker of those that wait and have the skill, and every waiting worker of library 5 or older.
local function ring(skill)
  if P == '{rm}:' then redis.call('PUBLISH', P .. 'wake', '1') end
  local bell = P .. 'bell:' .. skill
  if redis.call('EXISTS', bell) == 0 then redis.call('RPUSH', bell, '1') end
end

-- cjson is not there yet while the library is loaded.
local LOST = '{"lost":true}'
