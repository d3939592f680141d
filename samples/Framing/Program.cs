// Receives length-prefixed messages on TCP connections: the hook puts the pieces together, this program wakes once for each
// full message, however many pieces the network made of it.
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Runtime;
using UringBpf.Samples;

if (args is not [var portText] || !int.TryParse(portText, out var port) || port is < 0 or > 65535) return Usage();
try
{
    using var program = Hook.Compile(Hook.Load());
    var messages = (RingBufferMap)program.Maps["messages"];
    using var listener = new TcpListener(IPAddress.Loopback, port);
    listener.Start();
    Console.WriteLine($"listening on {listener.LocalEndpoint}");

    // One connection, to keep it short. A server would attach the same program to each.
    using var socket = listener.AcceptSocket();
    await using var ring = Ring.Create();
    await using var hook = ring.Attach(program,
        new Grants { Files = [new SafeFileHandle(socket.Handle, ownsHandle: false)], Operations = [IoUringOp.Nop, IoUringOp.Recv] },
        new ChainLimits { OwnBuffers = 1, OwnBufferBytes = 4096, MaxSteps = uint.MaxValue });
    using var closed = new CancellationTokenSource();
    var connection = Serve(hook, closed);

    var count = 0;
    try
    {
        await foreach (var message in messages.ReadAllAsync(closed.Token)) Print(message.Span);
    }
    catch (OperationCanceledException)
    {
        // The connection is closed: what came last may still be unread.
        messages.Consume(Print);
    }
    var result = await connection;
    Console.WriteLine($"{count} messages; {(result.Verdict < 0 ? Hook.Describe(-result.Verdict) : "closed by the peer")}");
    Console.Error.WriteLine($"{ring.HookRuns} completions");
    return result.Verdict < 0 ? 1 : 0;

    void Print(ReadOnlySpan<byte> message)
    {
        count++;
        Console.WriteLine($"{message.Length}: {Encoding.UTF8.GetString(message[..Math.Min(60, message.Length)])}");
    }
}
catch (Exception error) when (error is BpfException or SocketException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}

static async Task<ChainResult> Serve(HookLink hook, CancellationTokenSource closed)
{
    var result = await hook.StartAsync(UringOp.Nop());
    await closed.CancelAsync();
    return result;
}

static int Usage()
{
    Console.Error.WriteLine(
        """
        Accepts one TCP connection on loopback and prints each message on it: four bytes of length, little-endian, at most
        4092, then so many bytes. Port 0 takes any free port.

        usage: Framing PORT
        """);
    return 2;
}
