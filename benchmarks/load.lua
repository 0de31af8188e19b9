-- For wrk: posts the body in the file $BODY again and again, and prints JSON at the end.
-- An answer other than a 200 with the class $EXPECTED first counts as failed.

local file = assert(io.open(os.getenv("BODY"), "rb"))
local expected = os.getenv("EXPECTED")
local threads = {}

wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = os.getenv("CONTENT_TYPE")
wrong = 0 -- global, so that done can read it from each thread

function setup(thread)
  table.insert(threads, thread)
end

function response(status, headers, body)
  if status ~= 200 or body:match('"class": ?"(%d)"') ~= expected then
    wrong = wrong + 1
  end
end

function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout
  for _, thread in ipairs(threads) do
    failed = failed + thread:get("wrong")
  end
  io.write(string.format(
    '\n{"seconds": %g, "answers": %d, "failed": %d, "p50_ms": %g, "p99_ms": %g}\n',
    summary.duration / 1e6, summary.requests, failed,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
