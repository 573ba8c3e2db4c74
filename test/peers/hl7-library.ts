/** HL7 libraries that the project did not write, each in a file of its own, as peers that all are used the same way. */

export interface Hl7Library {
  /**
   * Listens on a port and acknowledges every message. `got` is called with each before that, as text in UTF-8 or, where
   * the library shows them, as the bytes that came; it may throw, as an application's handler may. `keepsConnections`:
   * also where the library is better off with one connection for each message.
   */
  listen(port: number, got: (message: string | Buffer) => void, keepsConnections: boolean): Promise<void>;
  /** Connects to a port of this machine. */
  connect(port: number): Promise<LibrarySender>;
}

export interface LibrarySender {
  /** Sends a message, after the answer to the one before. What was sent is what the library made of it. */
  send(message: string): Promise<{ readonly sent: string; readonly answer: string }>;
  close(): void;
}
