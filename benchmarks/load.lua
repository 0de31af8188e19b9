-- For wrk: posts the body in the file $BODY again and again, and prints JSON at the end.
-- An answer other than a 200 with the class $EXPECTED first counts as failed.

local expected = os.getenv("EXPECTED")
local thread -- the only one

wrk.method = "POST"
wrk.body = assert(io.open(os.getenv("BODY"), "rb")):read("*a")
wrk.headers["Content-Type"] = os.getenv("CONTENT_TYPE")
wrong = 0 -- global, so that done can read it from the thread

function setup(started)
  thread = started
end

function response(status, headers, body)
  if status ~= 200 or body:match('"class": ?"(%d)"') ~= expected then
    wrong = wrong + 1
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"seconds": %g, "answers": %d, "failed": %d, "p50, ms": %g, "p99, ms": %g}\n',
    summary.duration / 1e6, summary.requests,
    thread:get("wrong") + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
