-- The load as wrk sends it. What is sent and expected comes from the environment; see load.js.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  sent, wrong, sample = 0, 0, ''
  status_expected = tonumber(os.getenv('EXPECT_STATUS'))
  equals, includes = os.getenv('EXPECT_EQUALS'), os.getenv('EXPECT_INCLUDES')
  key = os.getenv('IDEMPOTENCY_KEY')
  keys_are_new = os.getenv('IDEMPOTENCY_KEYS_ARE_NEW') == 'true'
  header_expected = os.getenv('EXPECT_HEADER')
  body = os.getenv('BODY')
  requests, authorizations = {}, {}
  for authorization in os.getenv('AUTHORIZATIONS'):gmatch('[^\n]+') do
    table.insert(authorizations, authorization)
    table.insert(requests, format_request(authorization, key))
  end
end

function format_request(authorization, idempotency_key)
  return wrk.format('POST', nil, {
    ['Authorization'] = authorization,
    ['Content-Type'] = 'application/json',
    ['Idempotency-Key'] = idempotency_key,
  }, body)
end

function request()
  sent = sent + 1
  local turn = sent % #requests + 1
  if keys_are_new then return format_request(authorizations[turn], '"' .. key .. '-' .. sent .. '"') end
  return requests[turn]
end

function response(status, headers, answer)
  local right = status == status_expected
    and (equals == nil or answer == equals)
    and (includes == nil or answer:find(includes, 1, true) ~= nil)
    and (header_expected == nil or has(headers, header_expected))
  if not right then
    wrong = wrong + 1
    if wrong == 1 then sample = status .. ' ' .. answer:sub(1, 300) end
  end
end

function has(headers, wanted)
  for name in pairs(headers) do
    if name:lower() == wanted then return true end
  end
  return false
end

function done(summary, latency)
  local wrong, sample = 0, ''
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get('wrong')
    if sample == '' then sample = thread:get('sample') end
  end
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '\nRESULT %d %d %d %d %f %f %s\n',
    summary.requests, summary.duration, wrong, broken,
    latency:percentile(50), latency:percentile(99), sample:gsub('%s+', ' ')
  ))
end
