// The Continue CLI against the real server.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { cn, configuration, emptyFolder, shown } from './cn.js'
import { arrival, assertThoughtsKept, kinds, limit, next, providers, sent, slowly, statuses, user } from './server.js'

const email = 'cli@example.com'
const key = user(email)
const { chat: llama } = providers[0]

const config = (model, apiKey = key) => configuration({ model, apiKey, email })

for (const { name, chat: model } of providers) {
  test(`${name} has the CLI read two files, and answers with what is in them`, limit, async () => {
    const work = emptyFolder()
    writeFileSync(join(work, 'first.txt'), 'PING is the word\n')
    writeFileSync(join(work, 'second.txt'), 'PONG is the word\n')
    const { status, out } = await cn(config(model), 'USETOOL Read first.txt and second.txt', { cwd: work })
    assert.equal(status, 0, out)
    assert.match(out, /The tool says .*PONG is the word/)
    const requests = await sent()
    assert.equal(requests.length, 2)
    assert.match(JSON.stringify(requests[1].Body), /PING is the word.*PONG is the word/)
    assertThoughtsKept(model, requests[1])
  })
}

// What the CLI shows of an error, and how often it asks; errors.test.js has those that providers make.
const errors = {
  'a wrong key': { apiKey: 'wrong', shows: '401 Invalid API key. Check the API key and the email', reaches: 0 },
  'a provider that is not served': { model: 'nobody/model', shows: '404 Choose another model: this provider is not served here.', reaches: 0 },
  'an answer that breaks off': { answer: { Cut: { After: 3 } }, shows: "Try again: the provider's answer was cut off.", reaches: 1 },
}

for (const [name, { model = llama, apiKey, answer, shows, reaches }] of Object.entries(errors)) {
  test(`${name}: the CLI says so, after one request`, limit, async () => {
    if (answer) await next(answer)
    const said = shown(await cn(config(model, apiKey), 'hello there'))
    assert.ok(said.startsWith(shows), said)
    assert.equal((await statuses(1)).length, 1)
    assert.equal((await sent()).length, reaches)
  })
}

test('the CLI gets its answer after a 429', limit, async () => {
  await next({ Status: 429, Body: '{"error":{"message":"Slow down.","type":"tokens","code":"rate_limit_exceeded"}}', Header: ['Retry-After', '1'] })
  const { status, out } = await cn(config(llama), 'hello there')
  assert.equal(status, 0, out)
  assert.match(out, /You said "hello there"/)
  assert.deepEqual(await statuses(2), [429, 200])
})

test('a key that names its user is all that the CLI needs', limit, async () => {
  const { status, out } = await cn(configuration({ model: llama, apiKey: `${email}:${key}` }), 'hello there')
  assert.equal(status, 0, out)
  assert.match(out, /You said "hello there"/)
})

for (const { name, chat: model } of kinds) {
  test(`${name} is left alone when the CLI is interrupted`, limit, async () => {
    await next(slowly)
    await cn(config(model), 'hello there', { until: arrival() })
    const began = Date.now()
    const [request, ...others] = await sent()
    assert.ok(request.ClientGone)
    assert.ok(Date.now() - began < 20_000)
    assert.deepEqual(others, [])
  })
}
