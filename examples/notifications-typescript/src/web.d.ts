// What the engine has of the web's interfaces and this provider uses; no library
// declares them here.

interface Response {
  readonly status: number;
  text(): Promise<string>;
}

declare function fetch(
  url: string,
  request: { method: string; headers: Record<string, string>; body: string },
): Promise<Response>;

declare class URL {
  constructor(url: string);
  readonly protocol: string;
}
