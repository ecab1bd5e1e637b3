// What each client shows of the errors that each provider makes, and how often it asks.
import './hurry.js'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetchwithRequestOptions, streamSse } from '@continuedev/fetch'
import { constructLlmApi } from '@continuedev/openai-adapters'
import OpenAI from 'openai'
import { cn, configuration, shown } from './cn.js'
import { always, limit, providers, sent, statuses, tabCompletion, url, user } from './server.js'

const email = 'errors@example.com'
const apiKey = user(email)
const headers = { 'x-user-email': email }
const messages = [{ role: 'user', content: 'hello there' }]

const json = (Status, body, ...Header) => ({ Status, Body: JSON.stringify(body), Header })
const page = Status => ({ Status, Body: `<!DOCTYPE html>\n<html><body><h1>Error ${Status}</h1></body></html>\n`, Header: ['Content-Type', 'text/html; charset=UTF-8'] })
const workersAI = (status, code, message) => json(status, { errors: [{ code, message }], success: false, result: {}, messages: [] })
const google = (code, status, message, details) => json(code, { error: { code, message, status, details } })
const anthropic = (status, type, message) => json(status, { type: 'error', error: { type, message }, request_id: 'req_1' })
const gateway = (status, code, message) => json(status, { success: false, result: [], messages: [], error: [{ code, message }], name: 'AiGatewayError', httpCode: status, internalCode: code, message, description: message })
const inArray = ({ Status, Body }) => ({ Status, Body: `[${Body}]` }) // as Gemini often answers a request for a stream

// errors are, for each provider, one that is worth another try and one that is not: as they come, and as they are shown.
// An error of the edge's is the same for all.
const errors = {
  'Workers AI': [
    { answer: workersAI(429, 3040, 'Capacity temporarily exceeded, please try again.'), status: 429, message: 'Capacity temporarily exceeded, please try again.', code: 'rate_limit_exceeded', again: true },
    { answer: workersAI(400, 5007, 'No such model @cf/meta/llama-3.1-8b-instruct or task'), status: 404, message: 'No such model @cf/meta/llama-3.1-8b-instruct or task', code: 'model_not_found' },
  ],
  'Azure OpenAI': [
    { answer: json(429, { error: { code: '429', message: 'Requests have exceeded call rate limit. Please retry after 2 seconds.' } }, 'Retry-After', '2'), status: 429, message: 'Requests have exceeded call rate limit. Please retry after 2 seconds.', code: '429', again: true },
    {
      answer: json(400, { error: { message: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", type: null, param: 'prompt', code: 'content_filter', status: 400, innererror: { code: 'ResponsibleAIPolicyViolation', content_filter_result: { hate: { filtered: true, severity: 'high' } } } } }),
      status: 400, message: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", code: 'content_filter',
    },
  ],
  'Google AI Studio': [
    { answer: inArray(google(503, 'UNAVAILABLE', 'The service is currently unavailable.')), status: 503, message: 'The service is currently unavailable.', code: 'unavailable', again: true },
    { answer: google(400, 'INVALID_ARGUMENT', 'The input token count exceeds the maximum number of tokens allowed.'), status: 400, message: 'The input token count exceeds the maximum number of tokens allowed.', code: 'invalid_argument' },
  ],
  'Google AI Studio with Gemini 3': [
    { answer: google(429, 'RESOURCE_EXHAUSTED', 'You exceeded your current quota.', [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '2.5s' }]), status: 429, message: 'You exceeded your current quota.', code: 'rate_limit_exceeded', again: true },
    { answer: inArray(google(404, 'NOT_FOUND', 'models/gemini-3-flash-preview is not found for API version v1beta.')), status: 404, message: 'models/gemini-3-flash-preview is not found for API version v1beta.', code: 'model_not_found' },
  ],
  OpenAI: [
    { answer: json(500, { error: { message: 'The server had an error while processing your request.', type: 'server_error', param: null, code: null } }), status: 500, message: 'The server had an error while processing your request.', code: null, again: true },
    { answer: json(429, { error: { message: 'You exceeded your current quota, please check your plan and billing details.', type: 'insufficient_quota', param: null, code: 'insufficient_quota' } }), status: 429, message: 'You exceeded your current quota, please check your plan and billing details.', code: 'insufficient_quota' },
  ],
  Anthropic: [
    { answer: anthropic(529, 'overloaded_error', 'Overloaded'), status: 529, message: 'Overloaded', code: null, again: true },
    { answer: anthropic(400, 'invalid_request_error', 'prompt is too long: 213462 tokens > 200000 maximum'), status: 400, message: 'prompt is too long: 213462 tokens > 200000 maximum', code: null },
  ],
  Groq: [
    { answer: json(503, { error: { message: 'Service unavailable.', type: 'internal_server_error' } }), status: 503, message: 'Service unavailable.', code: null, again: true },
    { answer: json(400, { error: { message: 'The model has been decommissioned.', type: 'invalid_request_error', code: 'model_decommissioned' } }), status: 400, message: 'The model has been decommissioned.', code: 'model_decommissioned' },
  ],
  'A dynamic route': [
    { answer: gateway(400, 2005, 'Failed to get response from provider'), status: 502, message: 'Try again: the AI gateway got no response from the provider.', code: 'upstream_failed', again: true },
    { answer: gateway(429, 0, 'Spend limit reached'), status: 429, message: 'Ask whoever runs this server for a higher limit, or wait until it begins anew. Spend limit reached.', code: 'spending_limit_reached' },
  ],
}
const edge = [
  { answer: page(522), status: 522, message: 'Try again in a moment: the provider answered with status 522.', code: null, again: true },
  { answer: page(403), status: 403, message: 'Check the request: the provider answered with status 403.', code: null },
]

// The library asks three times. The CLI has it ask ten times more at these, also where the library is told that no retry helps.
const cliInsists = ({ status, message }) => [429, 502, 503, 504].includes(status) || /overloaded/i.test(message)

const library = new OpenAI({ baseURL: url, apiKey, defaultHeaders: headers })
const adapter = constructLlmApi({ provider: 'openai', apiKey, apiBase: url, requestOptions: { headers } })
const never = new AbortController().signal

// typing reads an error as the IDE does, which gets no more than the text of the answer.
async function typing(model) {
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${apiKey}` }, body: JSON.stringify({ ...tabCompletion(model), stream: true }) }
  const response = await fetchwithRequestOptions(url + '/completions', init, { headers })
  const { message } = await streamSse(response).next().catch(error => error)
  const { error } = JSON.parse(message)
  throw Object.assign(new Error(`${response.status} ${error.message}`), { status: response.status, code: error.code })
}

const clients = {
  "OpenAI's library": model => library.chat.completions.create({ model, messages, stream: true }),
  "Continue's adapter": model => adapter.chatCompletionStream({ model, messages, stream: true }, never).next(),
  'tab completion': typing,
}

// The statuses, and numbers of requests, that the CLI was tested with. It does not know the provider, and takes seconds to start.
const shownByCLI = new Set()

for (const { name, chat: model } of providers) {
  for (const error of [...errors[name], ...edge]) {
    const { answer, status, message, code, again } = error
    for (const [client, ask] of Object.entries(clients)) {
      const asks = again && client !== 'tab completion' ? 3 : 1
      test(`${client} shows ${name}'s ${answer.Status}, after ${asks} request${asks > 1 ? 's' : ''}: ${message}`, limit, async () => {
        await always(answer)
        await assert.rejects(ask(model), { status, code, message: `${status} ${message}` })
        assert.deepEqual(await statuses(asks), Array(asks).fill(status))
        assert.equal((await sent()).length, asks)
      })
    }
  }

  for (const error of errors[name]) {
    const { answer, status, message, again } = error
    const asks = (again ? 3 : 1) * (cliInsists(error) ? 11 : 1)
    const kind = `${status} ${asks}`
    if (shownByCLI.has(kind)) continue
    shownByCLI.add(kind)
    test(`The CLI shows ${name}'s ${answer.Status}, after ${asks} request${asks > 1 ? 's' : ''}: ${message}`, limit, async () => {
      await always(answer)
      const said = shown(await cn(configuration({ model, apiKey, email }), 'hello there', { hurry: true }))
      assert.ok(said.startsWith(`${status} ${message}`), said)
      assert.equal((await statuses(asks)).length, asks)
      assert.equal((await sent()).length, asks)
    })
  }
}
