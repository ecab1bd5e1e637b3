// Claude Code against the real server, with Anthropic's Messages.
import { testAgent } from './agent.js'

testAgent({
  agent: 'claude-code',
  program: 'claude',
  args: ['--allowedTools', 'Read', '-p'],
  variables: { DISABLE_AUTOUPDATER: '1', DISABLE_TELEMETRY: '1', DISABLE_ERROR_REPORTING: '1', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' },
  path: 'anthropic/v1/messages',
  answers: /This is claude-sonnet-4-6 on anthropic/,
  tool: 'Read',
  wrongKey: { shows: /Invalid API key/, requests: 1 },
  cut: { shows: /This is claude-sonnet-4-6 on anthropic/, requests: 2, status: 0 }, // it asks again, without a stream
})
