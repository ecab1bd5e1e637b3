// OpenAI's own library against the real server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import OpenAI from 'openai'
import { arrival, assertThoughtsKept, limit, models, next, providers, sent, slowly, statuses, tabCompletion, url, user } from './server.js'

const connect = (email, apiKey) => new OpenAI({ baseURL: url, apiKey, defaultHeaders: { 'x-user-email': email } })
const key = user('sdk@example.com')
const client = connect('sdk@example.com', key)
const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'hello there' }]
const { chat: llama } = providers[0]

for (const { name, chat: model, embed } of providers) {
  test(`${name} answers a chat`, limit, async () => {
    const { object, choices: [choice], usage } = await client.chat.completions.create({ model, messages })
    assert.equal(object, 'chat.completion')
    assert.match(choice.message.content, /You said "hello there"/)
    assert.equal(choice.finish_reason, 'stop')
    assert.ok(usage.total_tokens > 0)
  })

  test(`${name} streams a chat`, limit, async () => {
    const stream = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } })
    const { choices: [choice], usage } = await stream.finalChatCompletion()
    assert.match(choice.message.content, /You said "hello there"/)
    assert.equal(choice.finish_reason, 'stop')
    assert.ok(usage.total_tokens > 0)
  })

  test(`${name} calls tools in a stream, takes their results and answers`, limit, async () => {
    const read = []
    const tool = {
      type: 'function',
      function: {
        name: 'read_file',
        description: 'Reads a file.',
        parameters: { type: 'object', properties: { filepath: { type: 'string' } }, required: ['filepath'] },
        parse: JSON.parse,
        function: ({ filepath }) => {
          read.push(filepath)
          return 'PONG is in ' + filepath
        },
      },
    }
    const answer = await client.chat.completions.runTools({ model, stream: true, messages: [{ role: 'user', content: 'USETOOL read_file a.py and b.py' }], tools: [tool] }).finalContent()
    assert.deepEqual(read, ['a.py', 'b.py'])
    assert.match(answer, /The tool says .*PONG is in b\.py/)
    const requests = await sent()
    assert.equal(requests.length, 2)
    assertThoughtsKept(model, requests[1])
  })

  test(`${name} completes code, whole and streamed`, limit, async () => {
    const whole = await client.completions.create(tabCompletion(model))
    assert.equal(whole.object, 'text_completion')
    assert.equal(whole.choices[0].text, 'return a + b')
    let text = ''
    for await (const chunk of await client.completions.create({ ...tabCompletion(model), stream: true })) text += chunk.choices[0]?.text ?? ''
    assert.equal(text, 'return a + b')
  })

  if (embed) {
    test(`${name} embeds each of several texts as it does alone, in base64 as the library asks for and as numbers`, limit, async () => {
      const vectors = async (input, format) => (await client.embeddings.create({ model: embed, input, ...format })).data.map(item => item.embedding.map(Math.fround))
      const alone = [...await vectors('one'), ...await vectors('two')]
      assert.ok(alone[0].length > 0)
      assert.notDeepEqual(alone[0], alone[1])
      assert.deepEqual(await vectors(['one', 'two']), alone)
      assert.deepEqual(await vectors(['one', 'two'], { encoding_format: 'float' }), alone)
    })
  }

  test(`${name} is left alone as soon as a stream is aborted`, limit, async () => {
    await next(slowly)
    const stream = await client.chat.completions.create({ model, messages, stream: true })
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
    const began = Date.now()
    const [request] = await sent()
    assert.ok(request.ClientGone)
    assert.ok(Date.now() - began < 20_000)
  })

  test(`${name} is left alone as soon as a request is aborted that it has not answered`, limit, async () => {
    await next({ Silent: true })
    const gone = new AbortController()
    const rejected = assert.rejects(client.chat.completions.create({ model, messages, stream: true }, { signal: gone.signal }), OpenAI.APIUserAbortError)
    await arrival()
    gone.abort()
    await rejected
    const [request, ...others] = await sent()
    assert.ok(request.ClientGone)
    assert.deepEqual(others, [])
  })

  test(`${name}'s stream that breaks off is an error, after one request`, limit, async () => {
    await next({ Cut: { After: 3 } })
    await assert.rejects(client.chat.completions.stream({ model, messages }).finalContent(), error => {
      assert.ok(error instanceof OpenAI.APIError)
      assert.equal(error.type, 'api_error')
      assert.match(error.message, /cut off/)
      return true
    })
    assert.equal((await sent()).length, 1)
  })

  test(`${name}'s 429 is tried again when it says`, limit, async () => {
    await next({ Status: 429, Body: '{"error":{"message":"Slow down.","type":"tokens","code":"rate_limit_exceeded"}}', Header: ['Retry-After', '1'] })
    const began = Date.now()
    const { choices: [choice] } = await client.chat.completions.create({ model, messages })
    assert.match(choice.message.content, /You said/)
    assert.ok(Date.now() - began >= 950)
    assert.deepEqual(await statuses(2), [429, 200])
    assert.equal((await sent()).length, 2)
  })
}

for (const { name, chat: model } of providers) {
  test(`${name} answers at /responses`, limit, async () => {
    const { output_text: text } = await client.responses.create({ model, input: 'hello there' })
    assert.match(text, /hello there/)
  })

  test(`${name} streams at /responses`, limit, async () => {
    const { output_text: text } = await client.responses.stream({ model, input: 'hello there' }).finalResponse()
    assert.match(text, /hello there/)
  })
}

test('a key that names its user needs no other header', limit, async () => {
  const alone = new OpenAI({ baseURL: url, apiKey: `sdk@example.com:${key}` })
  const { choices: [choice] } = await alone.chat.completions.create({ model: llama, messages })
  assert.match(choice.message.content, /You said "hello there"/)
})

test('the models are listed, and each can be asked for', limit, async () => {
  const ids = []
  for await (const model of client.models.list()) ids.push(model.id)
  assert.deepEqual(ids.sort(), models.toSorted())
  for (const id of ids) assert.equal((await client.models.retrieve(id)).id, id)
  await assert.rejects(client.models.retrieve('workers-ai/@cf/meta/nothing'), OpenAI.NotFoundError)
})

// Each is refused in one request, whatever the library would try again; errors.test.js has what providers refuse.
const refusals = {
  'a wrong key': {
    ask: () => connect('sdk@example.com', 'wrong').chat.completions.create({ model: llama, messages }),
    kind: OpenAI.AuthenticationError, type: 'authentication_error', code: 'invalid_api_key', message: /^401 Invalid API key/,
  },
  'a model that the user may not use': {
    ask: () => connect('few@example.com', user('few@example.com', '--models', 'workers-ai/*')).chat.completions.create({ model: 'openai/gpt-4o-mini', messages }),
    kind: OpenAI.PermissionDeniedError, type: 'permission_error', code: 'model_not_allowed', message: /^403 .*model/,
  },
  'a provider that is not served': {
    ask: () => client.chat.completions.create({ model: 'nobody/model', messages }),
    kind: OpenAI.NotFoundError, type: 'not_found_error', code: 'model_not_found', message: /^404 Choose another model/,
  },
  'a response to one that was never stored': {
    ask: () => client.responses.create({ model: llama, input: 'hello', previous_response_id: 'resp_1' }),
    kind: OpenAI.BadRequestError, type: 'invalid_request_error', code: 'invalid_request_error', message: /^400 Send the whole conversation/,
  },
  'what the provider does not understand': {
    ask: () => client.chat.completions.create({ model: 'openai/gpt-4o-mini', messages: [] }),
    kind: OpenAI.BadRequestError, type: 'invalid_request_error', message: /^400 .*'messages'/, reaches: 1,
  },
  "the server's own key at the provider": {
    scenario: { Status: 401, Body: '{"error":{"message":"Incorrect API key provided: sk-1."}}' },
    kind: OpenAI.InternalServerError, type: 'api_error', code: 'upstream_auth_failed', message: /^502 Tell whoever runs this server/, reaches: 1,
  },
}

for (const [name, { ask, scenario, kind, type, code, message, reaches = 0 }] of Object.entries(refusals)) {
  test(`${name}: refused in one request`, limit, async () => {
    if (scenario) await next(scenario)
    const asked = ask ?? (() => client.chat.completions.create({ model: llama, messages }))
    await assert.rejects(asked(), error => {
      assert.ok(error instanceof kind, String(error))
      assert.equal(error.type, type)
      if (code) assert.equal(error.code, code)
      assert.match(error.message, message)
      assert.ok(error.requestID)
      return true
    })
    assert.equal((await statuses(1)).length, 1)
    assert.equal((await sent()).length, reaches)
  })
}
