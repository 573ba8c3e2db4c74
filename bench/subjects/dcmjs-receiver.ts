/** A dcmjs-dimse SCP that takes every instance and drops it: `dcmjs-receiver.ts PORT`. */
import dimse from 'dcmjs-dimse';

const { Scp, Server, constants, responses, log } = dimse;
log.setLevel('silent');
// dcmjs prints private elements with their values.
console.warn = () => {};
console.error = () => {};

class Receiver extends Scp {
  override associationRequested(association: import('dcmjs-dimse').association.Association): void {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const [syntax] = context.getTransferSyntaxUids();
      if (syntax) context.setResult(constants.PresentationContextResult.Accept, syntax);
    }
    this.sendAssociationAccept();
  }

  override cStoreRequest(
    request: import('dcmjs-dimse').requests.CStoreRequest,
    callback: (response: import('dcmjs-dimse').responses.CStoreResponse) => void,
  ): void {
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  }

  override associationReleaseRequested(): void {
    this.sendAssociationReleaseResponse();
  }
}

new Server(Receiver).listen(Number(process.argv[2]));
