using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Xunit;
using static UringBpf.Ring.Tests.Hooks;

namespace UringBpf.Ring.Tests;

/// <summary>Tests of hooks that talk to others: what makes connections on the ring's own machine, and hears what a hook says.</summary>
public abstract class OnConnections(RingBackendKind backend) : OnBackend(backend)
{
    private protected static byte[] Scratch(params ulong[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    private protected static (ulong, long)[] Said(HookLink link) => [.. Emissions(link).Select(emission => (emission.UserData, (long)emission.Value))];

    private protected static Task<ChainResult> Start(HookLink link, params ulong[] scratch) => link.StartAsync(UringOp.Nop(), Scratch(scratch)).AsTask().WaitAsync(s_patience);

    private protected static async Task<(ulong, long)> Show(HookLink link, UringOp op)
    {
        await link.StartAsync(UringOp.Nop(), Bytes(op)).AsTask().WaitAsync(s_patience);
        return Said(link)[0];
    }

    private protected static async Task<(ulong, long)> Next(HookLink link)
    {
        for (var wait = 0; wait < 10_000; wait++)
        {
            if (link.TryReadEmission(out var emission)) return (emission.UserData, (long)emission.Value);
            await Task.Delay(1);
        }
        throw new TimeoutException("nothing was emitted.");
    }

    private protected static async Task<int> Done(ValueTask<int> operation, int expected = 0)
    {
        var result = await operation.AsTask().WaitAsync(s_patience);
        Assert.True(result >= 0 && (expected == 0 || result == expected), $"{result}");
        return result;
    }

    private protected static async Task<SafeFileHandle> Socket(Ring ring)
    {
        const int unix = 1, stream = 1;
        return new SafeFileHandle(await Done(ring.SocketAsync(unix, stream)), ownsHandle: false);
    }

    private protected static async Task<SafeFileHandle> Listening(Ring ring, EndPoint address)
    {
        var listening = await Socket(ring);
        await Done(ring.BindAsync(listening, address));
        await Done(ring.ListenAsync(listening));
        return listening;
    }

    private protected static async Task<SafeFileHandle> Connected(Ring ring, EndPoint address)
    {
        var socket = await Socket(ring);
        await Done(ring.ConnectAsync(socket, address));
        return socket;
    }

    // Both ends of a connection of the ring's own machine, which may be simulated.
    private protected static async Task<(SafeFileHandle Near, SafeFileHandle Far)> Pair(Ring ring, TemporaryFolder folder)
    {
        var address = new UnixDomainSocketEndPoint(Path.Combine(folder.Path, "pair"));
        var listening = await Listening(ring, address);
        var near = await Connected(ring, address);
        var far = new SafeFileHandle(await Done(ring.AcceptAsync(listening)), ownsHandle: false);
        await Close(ring, listening);
        return (near, far);
    }

    private protected static async Task Close(Ring ring, params SafeFileHandle[] handles)
    {
        foreach (var handle in handles) await Done(ring.CloseAsync((int)handle.DangerousGetHandle()));
    }
}
