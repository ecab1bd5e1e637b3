// Gemini CLI against the real server, with Gemini's own format.
import { testAgent } from './agent.js'

testAgent({
  agent: 'gemini-cli',
  program: 'gemini',
  args: ['-p'],
  variables: { GEMINI_CLI_TRUST_WORKSPACE: 'true' },
  path: 'google-ai-studio/v1beta/models/gemini-2.5-flash:streamGenerateContent',
  from: 'gemini-2.5-flash on google-ai-studio',
  tool: 'read_file',
  wrongKey: { shows: /Invalid API key/, requests: 1 },
  cut: { shows: /Try again: the provider's answer was cut off/, requests: 4 },
})
