// Promises the machine's first process: a POSIX shell script (dash, bash, busybox) that waits on the FIFO knowing no secret, starts the
// runner once told, passes on SIGTERM, reaps orphans and ends with the runner's code. Its end makes the kernel kill all that is left.

import { ControllerError } from '../errors.ts';
import type { Assignment } from './driver.ts';
import { inside } from './nspawn-unit.ts';

/**
 * The block on the left waits for the FIFO's writer and copies what comes, with nothing but the shell's own commands (a `cat` would have to be
 * started first); the block on the right reads the lines and then *becomes* the runner, whose standard input is what is left in the pipe: the
 * token. No argument and no environment ever holds it, and the copying shell ends with its last word. While the FIFO is there no job was
 * given, and a SIGTERM simply ends the machine. A shell ignores SIGINT in what it starts with `&`; forgejo-runner installs its own handler for
 * it, and so its steps get the default back.
 */
export const initScript = `#!/bin/sh
child= asked= code=0
trap '[ ! -p ${inside.fifo} ] || exit 143; asked=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM INT
{ while IFS= read -r line; do printf '%s\\n' "$line"; done; printf %s "$line"; } <${inside.fifo} | {
  read -r url && read -r uuid && read -r handle && read -r labels || exit 125
  set -- --url "$url" --uuid "$uuid"
  [ -z "$handle" ] || set -- "$@" --handle "$handle"
  while [ "$labels" -gt 0 ]; do
    read -r label || exit 125
    set -- "$@" --label "$label:host"
    labels=$((labels - 1))
  done
  exec ${inside.runner} -c ${inside.config} one-job --wait --token-url file:///dev/stdin "$@"
} &
child=$!
[ -z "$asked" ] || kill -TERM "$child" 2>/dev/null
while :; do
  asked=
  wait "$child"
  last=$?
  # 127: it had been waited for already when a signal came in between.
  [ "$last" = 127 ] && [ "$code" != 0 ] || code=$last
  [ -n "$asked" ] || break
done
exit "$code"
`;

/** What goes through the FIFO: url, uuid, handle, number of labels, labels, each a line; then the token without a newline. */
export function assignmentText(assignment: Assignment): string {
  const { url, uuid, handle, labels, token } = assignment;
  for (const [name, value] of [
    ['url', url],
    ['uuid', uuid],
    ['handle', handle],
    ['token', token],
    ...labels.map((label) => ['label', label]),
  ]) {
    if (['\0', '\r', '\n'].some((character) => value?.includes(character) === true)) {
      throw new ControllerError('DRIVER_FAILED', `The ${name ?? 'field'} of an assignment holds a line break or a NUL: refused.`);
    }
  }
  if (url === '' || uuid === '' || token === '') {
    throw new ControllerError('DRIVER_FAILED', 'An assignment needs a url, a uuid and a token.');
  }
  const text = [url, uuid, handle, String(labels.length), ...labels, token].join('\n');
  // One write of at most PIPE_BUF is never split; a reader sees all of it or nothing.
  if (Buffer.byteLength(text) > 4096) {
    throw new ControllerError('DRIVER_FAILED', 'An assignment is longer than 4096 bytes: too many or too long labels.');
  }
  return text;
}
