-- The verbs by name, and what they need of the server. A read writes nothing, so that a replica or a full server answers it. Every
-- verb but a submit is also carried out on a full server, so that jobs can be worked off; a submit is refused there, and nothing is
-- charged.

local READS, SETTLES, ADDS = { 'no-writes' }, { 'allow-oom' }, {}

local function register(name, callback, flags)
  local function call(keys, arguments)
    P = keys[1] .. ':'
    return callback(keys, arguments)
  end
  redis.register_function({ function_name = 'rm_' .. name, callback = call, flags = flags })
end

register('version', function() return VERSION end, READS)
register('legal', legal, READS)
register('get', get, READS)
register('batch', get_batch, READS)
register('knows', knows, READS)
register('stats', stats, READS)
register('gauges', gauges, READS)
register('glimpse', glimpse, READS)
register('submit', submit_2, ADDS)
register('submit_3', submit, ADDS)
register('claim', claim_4, SETTLES)
register('claim_5', claim_5, SETTLES)
register('claim_6', claim, SETTLES)
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
register('garbage', garbage, SETTLES)
register('collected', collected, SETTLES)
register('takes_sweep', takes_sweep, SETTLES)
register('unused', unused, READS)
register('pause', pause, SETTLES)
register('drain', drain, SETTLES)
register('list', list, READS)
register('requeue', requeue_failed, SETTLES)
register('purge', purge, SETTLES)
register('adjust_quota', adjust_quota, SETTLES)
register('resend', resend, SETTLES)
register('announce', announce, SETTLES)
register('workers', workers, SETTLES)
register('upgrade', upgrade, SETTLES)
