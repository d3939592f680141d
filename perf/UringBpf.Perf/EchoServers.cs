using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Ring;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Perf;

/// <summary>The servers in C#, each in a process of its own: it prints its port and serves until it is killed.</summary>
internal static class EchoServers
{
    private const int BufferBytes = 4096;

    public static int Run(string kind, bool framing)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start(128);
        Console.WriteLine(((IPEndPoint)listener.LocalEndpoint).Port);
        Action<Socket> serve = kind == "ring" ? RingServer(framing) : socket => _ = framing ? ServeFrames(socket) : ServeEcho(socket);
        while (true)
        {
            var socket = listener.AcceptSocket();
            socket.NoDelay = true;
            serve(socket);
        }
    }

    private static Action<Socket> RingServer(bool framing)
    {
        var spec = ObjectSpec.Load(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "hooks", "echo.bpf.o")), "echo.bpf.o");
        var program = ProgramCompiler.Compile(ProgramVerifier.VerifyOrThrow(spec.Program(framing ? "framing" : "echo")), MapSet.Empty);
        var ring = Ring.Ring.Create();
        return socket => _ = Serve(socket);

        async Task Serve(Socket socket)
        {
            using (socket)
            {
                await using var hook = ring.Attach(program,
                    new Grants { Files = [new SafeFileHandle(socket.Handle, ownsHandle: false)], Operations = [IoUringOp.Nop, IoUringOp.Send, IoUringOp.Recv] },
                    new ChainLimits { OwnFiles = 0, OwnBuffers = 1, OwnBufferBytes = BufferBytes, MaxSteps = uint.MaxValue });
                var result = await hook.StartAsync(UringOp.Nop());
                // A client that has what it wants resets its connections.
                if (result.Verdict is < 0 and not (-104 or -32)) Console.Error.WriteLine($"errno {-result.Verdict}");
            }
        }
    }

    private static async Task ServeEcho(Socket socket)
    {
        using (socket)
        {
            var buffer = new byte[BufferBytes];
            try
            {
                while (await socket.ReceiveAsync(buffer.AsMemory()).ConfigureAwait(false) is > 0 and var got)
                    await socket.SendAsync(buffer.AsMemory(0, got)).ConfigureAwait(false);
            }
            catch (SocketException)
            {
                // The client has what it wants.
            }
        }
    }

    private static async Task ServeFrames(Socket socket)
    {
        using (socket)
        {
            var buffer = new byte[BufferBytes];
            var have = 0;
            try
            {
                while (await socket.ReceiveAsync(buffer.AsMemory(have)).ConfigureAwait(false) is > 0 and var got)
                {
                    have += got;
                    if (have < 4 || have != 4 + BinaryPrimitives.ReadInt32LittleEndian(buffer)) continue;
                    await socket.SendAsync(buffer.AsMemory(0, 4)).ConfigureAwait(false);
                    have = 0;
                }
            }
            catch (SocketException)
            {
                // The client has what it wants.
            }
        }
    }
}
