// The library through which Continue's IDE extensions and its CLI reach a provider, as they call it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { constructLlmApi } from '@continuedev/openai-adapters'
import { assertThoughtsKept, limit, models, next, providers, sent, slowly, statuses, tabCompletion, url, user } from './server.js'

const email = 'ide@example.com'
const connect = apiKey => constructLlmApi({ provider: 'openai', apiKey, apiBase: url, requestOptions: { headers: { 'x-user-email': email } } })
const api = connect(user(email))
const never = () => new AbortController().signal
const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'hello there' }]
const tools = [{ type: 'function', function: { name: 'read_file', description: 'Reads a file.', parameters: { type: 'object', properties: { filepath: { type: 'string' } }, required: ['filepath'] } } }]

// chat collects a streamed answer as the IDE does: of a chunk with a text it takes no tool calls, and of a tool call no
// more than these fields.
async function chat(body, signal = never()) {
  const answer = { role: 'assistant', content: '', tool_calls: [] }
  let usage
  for await (const chunk of api.chatCompletionStream({ stream: true, ...body }, signal)) {
    usage = chunk.usage ?? usage
    const delta = chunk.choices[0]?.delta
    if (delta?.content) answer.content += delta.content
    else for (const { id, function: part } of delta?.tool_calls ?? []) {
      if (id) answer.tool_calls.push({ id, type: 'function', function: { name: part.name, arguments: '' } })
      answer.tool_calls.at(-1).function.arguments += part.arguments ?? ''
    }
  }
  return { answer, usage }
}

for (const { name, chat: model, embed } of providers) {
  test(`${name} streams a chat, and its usage`, limit, async () => {
    const { answer, usage } = await chat({ model, messages })
    assert.match(answer.content, /You said "hello there"/)
    assert.ok(usage.total_tokens > 0)
  })

  test(`${name} calls tools, takes their results and answers`, limit, async () => {
    const question = { role: 'user', content: 'USETOOL read_file a.py and b.py' }
    const { answer: asked } = await chat({ model, messages: [question], tools })
    assert.deepEqual(asked.tool_calls.map(call => JSON.parse(call.function.arguments).filepath), ['a.py', 'b.py'])
    const results = asked.tool_calls.map(({ id }, i) => ({ role: 'tool', tool_call_id: id, content: 'PONG ' + i }))
    const { answer } = await chat({ model, messages: [question, { ...asked, content: ' ' }, ...results], tools })
    assert.match(answer.content, /The tool says .*PONG 1/)
    assertThoughtsKept(model, (await sent())[1])
  })

  test(`${name} completes at a key press, up to the first stop word`, limit, async () => {
    const complete = async () => {
      let text = ''
      for await (const chunk of api.completionStream({ ...tabCompletion(model), stream: true }, never())) text += chunk.choices[0]?.text ?? ''
      return text
    }
    assert.equal(await complete(), 'return a + b')
    await next({ Text: ['return a ', '+ b</', 'code> and more'] })
    assert.equal(await complete(), 'return a + b')
  })

  const streams = {
    'its chat is stopped': signal => api.chatCompletionStream({ model, messages, stream: true }, signal),
    'the next key is pressed': signal => api.completionStream({ ...tabCompletion(model), stream: true }, signal),
  }
  for (const [when, stream] of Object.entries(streams)) {
    test(`${name} is left alone as soon as ${when}`, limit, async () => {
      await next(slowly)
      const stop = new AbortController()
      await assert.rejects(async () => {
        for await (const { choices: [choice] } of stream(stop.signal)) if (choice?.delta?.content || choice?.text) stop.abort()
        stop.signal.throwIfAborted()
      }, /abort/i)
      const began = Date.now()
      const [request] = await sent()
      assert.ok(request.ClientGone)
      assert.ok(Date.now() - began < 20_000)
    })
  }

  test(`${name}'s answer that is no stream, as guardrails make it, arrives all the same`, limit, async () => {
    await next({ JSONForStream: true }, { JSONForStream: true })
    assert.match((await chat({ model, messages })).answer.content, /You said "hello there"/)
    const { answer } = await chat({ model, messages: [{ role: 'user', content: 'USETOOL read_file a.py' }], tools })
    assert.equal(JSON.parse(answer.tool_calls[0].function.arguments).filepath, 'a.py')
  })

  if (embed) {
    test(`${name} embeds each of several texts as it does alone`, limit, async () => {
      const vectors = async input => (await api.embed({ model: embed, input })).data.map(item => item.embedding)
      const [one, two] = await vectors(['one', 'two'])
      assert.notDeepEqual(one, two)
      assert.deepEqual([[one], [two]], [await vectors(['one']), await vectors(['two'])])
    })
  }
}

test("Workers AI's oddities are not noticed: usage everywhere, numbers for texts, tool calls that are objects", limit, async () => {
  const [{ chat: model }] = providers
  await next({ UsageOnEveryFrame: true, NumbersAsText: true }, { UsageOnEveryFrame: true, OddToolCalls: true })
  assert.equal((await chat({ model, messages })).answer.content, 'The answer is 42, or 42.')
  const { answer } = await chat({ model, messages: [{ role: 'user', content: 'USETOOL read_file a.py and b.py' }], tools })
  assert.deepEqual(answer.tool_calls.map(call => JSON.parse(call.function.arguments).filepath), ['a.py', 'b.py'])
})

test('the models are listed', limit, async () => {
  assert.deepEqual((await api.list()).map(model => model.id).sort(), models.toSorted())
})

test('a wrong key costs one request, which reaches nobody', limit, async () => {
  const stream = connect('wrong').chatCompletionStream({ model: providers[0].chat, messages, stream: true }, never())
  await assert.rejects(stream.next(), { status: 401, message: /^401 Invalid API key/ })
  assert.deepEqual(await statuses(1), [401])
  assert.deepEqual(await sent(), [])
})
