// Asks two replicas the same question and takes the first answer. The hook sends, receives and cancels the slower one; this
// program wakes once for each question. The replicas are here, on loopback, each with a delay of its own.
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Samples;

int[] delays = [200, 5];
ulong question = 21;
for (var i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "--delays" when i + 1 < args.Length && args[i + 1].Split(',') is [var first, var second] && int.TryParse(first, out delays[0]) && int.TryParse(second, out delays[1]): i++; break;
        case "--question" when i + 1 < args.Length && ulong.TryParse(args[i + 1], out question): i++; break;
        default: return Usage();
    }
}

try
{
    using var program = Hook.Compile(Hook.Load());
    using var listener = new TcpListener(IPAddress.Loopback, 0);
    listener.Start();
    var sockets = new Socket[2];
    for (var i = 0; i < 2; i++)
    {
        sockets[i] = new Socket(SocketType.Stream, ProtocolType.Tcp);
        sockets[i].Connect(listener.LocalEndpoint);
        _ = Answer(listener.AcceptSocket(), delays[i]);
    }

    await using (var ring = Ring.Create())
    {
        await using var hook = ring.Attach(program,
            new Grants
            {
                // The sockets stay this program's: the ring holds references of its own.
                Files = [.. sockets.Select(socket => new SafeFileHandle(socket.Handle, ownsHandle: false))],
                Operations = [IoUringOp.Nop, IoUringOp.Send, IoUringOp.Recv],
            },
            new ChainLimits { OwnBuffers = 2, OwnBufferBytes = 8 });
        var result = await hook.StartAsync(UringOp.Nop(), BitConverter.GetBytes(question));
        if (result.Verdict < 0 || !hook.TryReadEmission(out var answer))
        {
            Console.Error.WriteLine($"no answer: {Hook.Describe(-result.Verdict)}");
            return 1;
        }
        const int cancelled = -125;
        Console.WriteLine($"replica {answer.UserData} answered {answer.Value}, the other {(result.Result == cancelled ? "was cancelled" : "had failed")}; the host woke {ring.HostWakeUps} time(s)");
    }
    foreach (var socket in sockets) socket.Dispose();
    return 0;
}
catch (Exception error) when (error is BpfException or SocketException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}

// A replica: doubles the number it is sent, after a while. A negative delay: hangs up instead.
static async Task Answer(Socket socket, int delay)
{
    using (socket)
    {
        var bytes = new byte[8];
        while (await socket.ReceiveAsync(bytes) == bytes.Length)
        {
            if (delay < 0) return;
            await Task.Delay(delay);
            await socket.SendAsync(BitConverter.GetBytes(BitConverter.ToUInt64(bytes) * 2));
        }
    }
}

static int Usage()
{
    Console.Error.WriteLine(
        """
        Asks two replicas and takes the first answer, in an io_uring completion hook. Delays are in milliseconds; a negative
        one makes the replica hang up.

        usage: Hedge [--delays FIRST,SECOND] [--question N]
        """);
    return 2;
}
