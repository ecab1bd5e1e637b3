// The server that run.js has started, as the tests see it.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'node:test'

assert.ok(process.env.SERVER, 'the tests are run by: npm test')
export const { folder, url, home, control, caddy, prefix, models } = JSON.parse(process.env.SERVER)

export const limit = { timeout: 300_000 }

// providers are the ways to a model that differ at the gateway, and a newer Gemini, which wants its thoughts back.
export const providers = [
  { name: 'Workers AI', chat: 'workers-ai/@cf/meta/llama-3.1-8b-instruct', embed: 'workers-ai/@cf/baai/bge-m3' },
  { name: 'Azure OpenAI', chat: 'azure-openai/inst/gpt-5-mini', embed: 'azure-openai/inst/text-embedding-3-small' },
  { name: 'Google AI Studio', chat: 'google-ai-studio/gemini-2.5-flash', embed: 'google-ai-studio/gemini-embedding-001' },
  { name: 'Google AI Studio with Gemini 3', chat: 'google-ai-studio/gemini-3-flash-preview' },
  { name: 'OpenAI', chat: 'openai/gpt-4o-mini', embed: 'openai/text-embedding-3-small' },
  { name: 'Anthropic', chat: 'anthropic/claude-sonnet-4-5' },
  { name: 'Groq', chat: 'groq/llama-3.3-70b-versatile' },
  { name: 'A dynamic route', chat: 'dynamic/everyday' },
]

// kinds are one provider of each kind of translation.
export const kinds = providers.filter(({ embed }) => embed)

// tabCompletion is what Continue's IDE asks for as one types: with more stop words than most providers take, and with
// max_completion_tokens where the model reasons.
export const tabCompletion = model => ({
  model,
  prompt: '<fim_prefix>def add(a, b):\n    <fim_suffix>\n<fim_middle>',
  stop: ['<fim_prefix>', '<fim_suffix>', '<fim_middle>', '<file_sep>', '<|endoftext|>', '</fim_middle>', '</code>'],
  temperature: 0.01,
  [/gpt-[5-9]/.test(model) ? 'max_completion_tokens' : 'max_tokens']: 64,
})

// ours runs one of the server's own commands, and returns what it prints.
export const ours = (...args) => execFileSync(caddy, ['continue-auth', ...args], {
  cwd: folder, env: home, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000, killSignal: 'SIGKILL',
})

// user makes a user, and returns the key.
export const user = (email, ...options) => ours('keys', 'add', email, ...options).trim()

async function tell(which, scenarios) {
  const answer = await fetch(`${control}/${which}`, { method: 'POST', body: JSON.stringify(scenarios) })
  assert.equal(answer.status, 200, await answer.text())
}

// next tells the gateway how to answer the next requests, one each.
export const next = (...scenarios) => tell('next', scenarios)

// always tells the gateway how to answer all other requests of the test.
export const always = scenario => tell('always', [scenario])

// slowly is an answer that takes half a minute; durations are nanoseconds.
export const slowly = { Text: Array(100).fill('word '), Delay: 300e6 }

const log = async () => (await fetch(control + '/requests')).json()
let before, complaints, began

// sent is what has reached the gateway since the test began. It waits for the end of each request.
export const sent = async () => (await log()).Requests.slice(before)

// arrival waits for the nth request of the test to reach the gateway.
export const arrival = (n = 1) => fetch(`${control}/arrival/${before + n}`)

// An answer is logged behind its end: what the test before has aborted may come into the log as late as now.
const answers = () => readFileSync(join(folder, 'access.log'), 'utf8').split('\n').slice(0, -1) // behind the last line's end may be half of the next
  .map(line => JSON.parse(line)).filter(({ ts, duration }) => (ts - duration) * 1000 >= began)

// assertThoughtsKept asserts that a Gemini which wants its thoughts back has got its own: it would also take a dummy for those that are lost.
export function assertThoughtsKept(model, { Body }) {
  if (!model.includes('gemini-3')) return
  const signatures = Body.contents.flatMap(content => content.parts).filter(part => part.functionCall).map(part => part.thoughtSignature ?? '')
  assert.match(signatures[0], /./)
  assert.doesNotMatch(signatures.join(), /skip_thought_signature_validator/)
}

// statuses is how the server has answered the test's requests, in order, of which there should be n.
export async function statuses(n) {
  for (let i = 0; i < 1500 && answers().length < n; i++) await new Promise(soon => setTimeout(soon, 20))
  return answers().map(entry => entry.status)
}

beforeEach(async () => {
  const { Requests, Complaints } = await log()
  before = Requests.length
  complaints = Complaints
  began = Date.now()
}, limit)

afterEach(async () => {
  await always({})
  assert.deepEqual((await log()).Complaints, complaints)
}, limit)
