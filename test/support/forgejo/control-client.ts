// Promises the control calls of a stand-in that runs in another process: `controlAt(url)` is the same type as the control of one's own.
// A call that fails there rejects here with its words.

import type { Control } from './control.ts';

/** `url` is what the stand-in says as `control`. */
export function controlAt(url: string): Control {
  const call = async (name: string, argument: unknown): Promise<unknown> => {
    const response = await fetch(new URL(name, url), { method: 'POST', body: JSON.stringify(argument ?? null) });
    const text = await response.text();
    if (!response.ok) throw new Error(`stand-in: ${text.trim()}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  return new Proxy({} as Control, {
    // Awaiting the object itself must not become a call.
    get: (_, name) => (typeof name === 'string' && name !== 'then' ? (argument?: unknown) => call(name, argument) : undefined),
  });
}
