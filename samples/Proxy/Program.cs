// A TCP proxy. This program accepts and connects; each connection is then a chain of its own: its hook moves bytes both ways
// and shuts each direction down when its time has come, without waking anyone.
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Runtime;
using UringBpf.Samples;

const int bufferBytes = 1 << 16;

var connections = int.MaxValue;
var ports = new List<int>();
for (var i = 0; i < args.Length; i++)
{
    if (args[i] == "--connections" && i + 1 < args.Length && int.TryParse(args[i + 1], out connections) && connections > 0) i++;
    else if (int.TryParse(args[i], out var port) && port is >= 0 and <= 65535) ports.Add(port);
    else return Usage();
}
if (ports.Count != 2) return Usage();

try
{
    using var program = Hook.Compile(Hook.Load().WithGlobal("buffer_bytes", (uint)bufferBytes));
    using var listener = new TcpListener(IPAddress.Loopback, ports[0]);
    listener.Start();
    Console.WriteLine($"listening on {listener.LocalEndpoint}");

    await using var ring = Ring.Create();
    var running = new List<Task>();
    for (var number = 1; number <= connections; number++)
    {
        var client = await Task.Run(listener.AcceptSocket);
        running.Add(Serve(ring, program, number, client, ports[1]));
        running.RemoveAll(task => task.IsCompletedSuccessfully);
    }
    await Task.WhenAll(running);
    Console.Error.WriteLine($"{ring.HookRuns} completions; the host woke {ring.HostWakeUps} times");
    return 0;
}
catch (Exception error) when (error is BpfException or SocketException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}

static async Task Serve(Ring ring, BpfProgram program, int number, Socket client, int port)
{
    using (client)
    {
        using var server = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // Blocking sockets: on the ring nothing blocks, and non-blocking ones would answer -EAGAIN.
            await Task.Run(() => server.Connect(IPAddress.Loopback, port));
        }
        catch (SocketException error)
        {
            Console.WriteLine($"connection {number}: {error.SocketErrorCode}");
            return;
        }
        await using var hook = ring.Attach(program,
            new Grants
            {
                Files = [new SafeFileHandle(client.Handle, ownsHandle: false), new SafeFileHandle(server.Handle, ownsHandle: false)],
                Operations = [IoUringOp.Nop, IoUringOp.Recv, IoUringOp.Send, IoUringOp.Shutdown],
            },
            new ChainLimits { OwnBuffers = 2, OwnBufferBytes = bufferBytes, MaxSteps = uint.MaxValue },
            emissionCapacity: 1);
        var result = await hook.StartAsync(UringOp.Nop());
        if (result.Verdict < 0) Console.WriteLine($"connection {number}: {Hook.Describe(-result.Verdict)}");
        else if (hook.TryReadEmission(out var bytes)) Console.WriteLine($"connection {number}: {bytes.UserData} bytes up, {bytes.Value} bytes down");
    }
}

static int Usage()
{
    Console.Error.WriteLine(
        """
        Passes TCP connections to loopback port PORT on to loopback port TARGET. Port 0 takes any free port; with --connections it ends
        after so many.

        usage: Proxy [--connections N] PORT TARGET
        """);
    return 2;
}
