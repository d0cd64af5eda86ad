// ComponentizeJS decodes the texts that come in with a decoder that takes a
// leading byte order mark (U+FEFF) off, so that two keys would be one. This one
// leaves texts as they are. Imported first, for what it does.

// What StarlingMonkey has of the web's interface; no library declares it here.
declare class TextDecoder {
  constructor(label: string, options: { ignoreBOM: boolean });
  decode(input?: ArrayBufferView, options?: { stream?: boolean }): string;
}

const decode = TextDecoder.prototype.decode;
const exact = new TextDecoder("utf-8", { ignoreBOM: true });

TextDecoder.prototype.decode = (input, options) => decode.call(exact, input, options);
