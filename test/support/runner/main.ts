// The stand-in forgejo-runner's command line: arguments in, exit code out, signals turned into one abort. The only place that ends the
// process. Its behaviour is that of forgejo-runner 12.8.2 as far as docs and tests say; it knows nothing of the controller.

import { parseArguments } from './cli.ts';
import { messageOf, RunnerFailure } from './failure.ts';
import { writeAll } from './log-line.ts';
import { run } from './poll.ts';
import { version } from './rpc.ts';

async function main(): Promise<number> {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop.abort());
  try {
    const command = parseArguments(process.argv.slice(2));
    if (command.kind === 'version') writeAll(1, `forgejo-runner version ${version}\n`);
    else if (command.kind === 'help') writeAll(1, command.text);
    else await run(command, { env: process.env, cwd: process.cwd() }, stop.signal);
    return 0;
  } catch (error) {
    writeAll(2, `Error: ${messageOf(error)}\n`);
    return error instanceof RunnerFailure ? error.exitCode : 1;
  }
}

// Not top-level await: the bundle is one CommonJS script.
void main().then((code) => process.exit(code));
