using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace UringBpf.Hosting;

/// <summary>The host's ring: made once, ended when the host stops or the container is disposed.</summary>
internal sealed class RingHolder(IOptions<UringBpfOptions> options) : IHostedService, IAsyncDisposable
{
    private readonly Lazy<UringBpf.Ring.Ring> _ring = new(() => UringBpf.Ring.Ring.Create(options.Value.Ring));

    public UringBpf.Ring.Ring Ring => _ring.Value;

    public bool IsCreated => _ring.IsValueCreated;

    public Task StartAsync(CancellationToken cancellationToken) =>
        options.Value.StartRing ? Task.Run(() => _ = Ring, cancellationToken) : Task.CompletedTask;

    /// <summary>Cancels what is in flight and waits for it.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (IsCreated) await Ring.DisposeAsync().AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public ValueTask DisposeAsync() => IsCreated ? Ring.DisposeAsync() : ValueTask.CompletedTask;
}
