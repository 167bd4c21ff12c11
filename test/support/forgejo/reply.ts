// Promises what an answer is before it goes on the wire, and the forms that Forgejo's own answers have: JSON with a newline, its security
// headers, its error bodies.

export type Reply = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: Uint8Array };

const usual = {
  'cache-control': 'max-age=0, private, must-revalidate',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'SAMEORIGIN',
};

export function jsonReply(status: number, json: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  const body = Buffer.from(`${JSON.stringify(json)}\n`);
  return { status, headers: { ...usual, 'content-type': 'application/json;charset=utf-8', ...headers }, body };
}

export function textReply(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status, headers: { ...usual, 'content-type': 'text/plain; charset=utf-8', ...headers }, body: Buffer.from(text) };
}

export function emptyReply(status: number): Reply {
  return { status, headers: usual, body: Buffer.alloc(0) };
}

/** What a route that does not exist answers: no JSON. */
export function unknownRouteReply(): Reply {
  return textReply(404, '404 page not found\n');
}

/** An answer of Forgejo's that is an error; `errors` is only in some of them. */
export class Refusal extends Error {
  readonly status: number;
  readonly errors: readonly string[] | undefined;

  constructor(status: number, message: string, errors?: readonly string[]) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.errors = errors;
  }
}

export function refusalReply(rootUrl: string, { status, message, errors }: Refusal): Reply {
  return jsonReply(status, { message, url: `${rootUrl}/api/swagger`, ...(errors === undefined ? {} : { errors }) });
}

/** The middleware's words for a repository that is not there, or not for you. */
export function notFound(): Refusal {
  return new Refusal(404, "The target couldn't be found.", []);
}

export function missing(kind: 'run' | 'runner' | 'job', id: number): Refusal {
  return new Refusal(
    404,
    kind === 'runner' ? `runner with ID ${id}: resource does not exist` : `${kind} with id ${id}: resource does not exist`,
  );
}
