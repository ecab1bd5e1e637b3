// Codex against the real server, with OpenAI's Responses.
import { testAgent } from './agent.js'

testAgent({
  agent: 'codex',
  args: ['exec', '--skip-git-repo-check'],
  path: 'openai/responses',
  answers: /This is gpt-4o-mini on openai/,
  tool: 'exec_command',
  wrongKey: { shows: /Invalid API key/, requests: 6 },
  cut: { shows: /stream disconnected before completion/, requests: 6 }, // it does not show our words
})
