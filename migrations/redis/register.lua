-- The verbs by name, and what they need of the server. A read writes nothing, so that a replica or a full server answers it. Every
-- verb but a submit is also carried out on a full server, so that jobs can be worked off; a submit is refused there, and nothing is
-- charged.

local READS, SETTLES, ADDS = { 'no-writes' }, { 'allow-oom' }, {}

local function register(name, callback, flags)
  redis.register_function({ function_name = 'rm_' .. name, callback = callback, flags = flags })
end

register('version', function() return VERSION end, READS)
register('legal', legal, READS)
register('get', get, READS)
register('batch', get_batch, READS)
register('knows', knows, READS)
register('stats', stats, READS)
register('submit', submit_2, ADDS)
register('submit_3', submit, ADDS)
register('claim', claim_4, SETTLES)
register('claim_5', claim, SETTLES)
register('deferred', deferred, SETTLES)
register('heartbeat', heartbeat, SETTLES)
register('progress', progress, SETTLES)
register('succeed', succeed, SETTLES)
register('canceled', canceled, SETTLES)
register('failed', failed, SETTLES)
register('release', release, SETTLES)
register('cancel', cancel, SETTLES)
register('cancel_batch', cancel_batch, SETTLES)
register('withdraw', withdraw, SETTLES)
register('due_hooks', due_hooks, SETTLES)
register('hook_attempted', hook_attempted, SETTLES)
register('reap', reap, SETTLES)
register('collected', collected, SETTLES)
register('announce', announce, SETTLES)
register('workers', workers, SETTLES)
register('upgrade', upgrade, SETTLES)
