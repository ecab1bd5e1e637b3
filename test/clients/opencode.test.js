// OpenCode against the real server, by each of the three ways that it has to models.
import { openCode, testAgent } from './agent.js'

const ways = {
  'its own provider anthropic': { model: 'anthropic/claude-sonnet-4-6', path: 'anthropic/v1/messages', from: 'claude-sonnet-4-6 on anthropic' },
  'its own provider openai': { model: 'openai/gpt-4o-mini', path: 'openai/responses', from: 'gpt-4o-mini on openai', gotOver: true },
  'chat completions': { model: 'ai-proxy/dynamic/everyday', path: 'compat/chat/completions', from: 'everyday on dynamic' },
}

for (const [way, { model, path, from, gotOver }] of Object.entries(ways)) {
  testAgent({
    ...openCode,
    title: `opencode with ${way}`,
    args: [...openCode.args, '-m', model],
    path,
    from,
    wrongKey: { shows: /Invalid API key/, requests: 2 },
    // With OpenAI's format it asks up to five times more, at ever longer intervals.
    cut: gotOver ? { times: 2, shows: new RegExp(`This is ${from}`), requests: 3, status: 0 } : { shows: /Try again: the provider's answer was cut off/, requests: 2 },
  })
}
