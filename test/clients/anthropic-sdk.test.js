// Anthropic's own library, @anthropic-ai/sdk, against the real server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { always, arrival, limit, next, prefix, sent, slowly, statuses, url, user } from './server.js'

const email = 'anthropic-sdk@example.com'
const key = user(email)
const baseURL = url.replace(/\/v1$/, '')
const client = options => new Anthropic({ baseURL, authToken: `${email}:${key}`, apiKey: null, ...options })
const model = 'anthropic/claude-sonnet-4-6'
const ask = { model, max_tokens: 1024, messages: [{ role: 'user', content: 'hello there' }] }

const credentials = {
  'a bearer': {},
  'x-api-key': { authToken: null, apiKey: `${email}:${key}` },
  'both, which agree': { defaultHeaders: { 'x-api-key': `${email}:${key}` } },
  'a bearer and the email in a header': { authToken: key, defaultHeaders: { 'X-User-Email': email } },
}

for (const [what, options] of Object.entries(credentials)) {
  test(`the library signs in with ${what}`, limit, async () => {
    const message = await client(options).messages.create(ask)
    assert.match(message.content[0].text, /You said "hello there"/)
    const [request, ...others] = await sent()
    assert.deepEqual(others, [])
    assert.equal(request.Path, prefix + 'anthropic/v1/messages')
    assert.equal(request.Body.model, 'claude-sonnet-4-6')
    assert.deepEqual(request.Header['Cf-Aig-Metadata'], [JSON.stringify({ user: email })])
  })
}

test('the library streams, with the usage', limit, async () => {
  const message = await client().messages.stream(ask).finalMessage()
  assert.match(message.content[0].text, /You said "hello there"/)
  assert.equal(message.stop_reason, 'end_turn')
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 1)
})

test('the library has a tool called, and gets an answer to its result', limit, async () => {
  const tools = [{ name: 'read', input_schema: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] } }]
  const messages = [{ role: 'user', content: 'USETOOL read first.txt' }]
  const message = await client().messages.stream({ ...ask, tools, messages }).finalMessage()
  assert.equal(message.stop_reason, 'tool_use')
  const [call] = message.content
  assert.deepEqual([call.name, call.input], ['read', { path: 'first.txt' }])
  messages.push({ role: 'assistant', content: message.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'PONG is the word' }] })
  const after = await client().messages.create({ ...ask, tools, messages })
  assert.match(after.content[0].text, /The tool says "PONG is the word"/)
})

test('the library counts tokens', limit, async () => {
  const { max_tokens, ...count } = ask
  assert.ok((await client().messages.countTokens(count)).input_tokens > 0)
  assert.equal((await sent())[0].Path, prefix + 'anthropic/v1/messages/count_tokens')
})

const wrong = {
  'a wrong key': { authToken: `${email}:wrong` },
  'two keys that do not agree': { defaultHeaders: { 'x-api-key': `${email}:wrong` } },
}

for (const [what, options] of Object.entries(wrong)) {
  test(`the library is refused with ${what} after one request`, limit, async () => {
    await assert.rejects(client(options).messages.create(ask), error => {
      assert.ok(error instanceof Anthropic.AuthenticationError)
      assert.equal(error.error.error.type, 'authentication_error')
      assert.match(error.error.error.message, /^Invalid API key/)
      return true
    })
    assert.deepEqual(await statuses(1), [401])
    assert.deepEqual(await sent(), [])
  })
}

test('a stream that breaks off is an error', limit, async () => {
  await always({ Cut: { After: 5 } })
  await assert.rejects(client().messages.stream(ask).finalMessage(), /Try again: the provider's answer was cut off/)
  assert.equal((await sent()).length, 1)
})

test('an error of Anthropic\'s comes as it is', limit, async () => {
  const body = { type: 'error', error: { type: 'invalid_request_error', message: 'messages.1.content.0.thinking: Invalid signature' }, request_id: 'req_1' }
  await next({ Status: 400, Body: JSON.stringify(body), Header: ['Request-Id', 'req_1'] })
  await assert.rejects(client().messages.create(ask), error => {
    assert.deepEqual([error.status, error.error, error.requestID], [400, body, 'req_1'])
    return true
  })
})

test('upstream is left alone when the library hangs up', limit, async () => {
  await next(slowly)
  const stream = client().messages.stream(ask)
  const done = assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError)
  await arrival()
  stream.abort()
  await done
  const [request] = await sent()
  assert.ok(request.ClientGone)
})
