// A host that takes plug-ins from a folder while it serves: each is an eBPF object that somebody else wrote. One that the
// verifier can't prove safe is refused, with the reason; a new version takes over while requests are in flight.
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using UringBpf.Bytecode;
using UringBpf.Samples.EmbeddedPlugins;

var options = Options.Parse(args);
if (options == null) return Options.Usage();
if (!File.Exists(options.File))
{
    Console.Error.WriteLine($"{options.File}: no such file.");
    return 1;
}

using var metrics = new HttpListener();
try
{
    // Before anything else is started: a port that somebody else has is a mistake on the command line.
    MetricsEndpoint.Listen(metrics, options.MetricsPort);
}
catch (HttpListenerException taken)
{
    Console.Error.WriteLine($"--metrics {options.MetricsPort}: {taken.Message.TrimEnd('.')}.");
    return 1;
}

var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
builder.Services.AddUringBpf();
builder.Services.AddHealthChecks().AddUringBpf();
builder.Services.AddSingleton(options);
builder.Services.AddSingleton(metrics);
builder.Services.AddSingleton<PluginFolder>();
builder.Services.AddHostedService(services => services.GetRequiredService<PluginFolder>());
builder.Services.AddHostedService<Requests>();
builder.Services.AddHostedService<MetricsEndpoint>();
try
{
    using var host = builder.Build();
    var plugins = host.Services.GetRequiredService<PluginFolder>();
    await host.RunAsync();
    return plugins.Summarize();
}
catch (Exception error) when (error is BpfException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}

namespace UringBpf.Samples.EmbeddedPlugins
{
    /// <summary>The command line.</summary>
    internal sealed record Options(string Folder, string File, int Workers, int MetricsPort)
    {
        public static Options? Parse(string[] args)
        {
            var (folder, file, workers, port) = ("", "", 4, 0);
            for (var i = 0; i < args.Length; i++)
            {
                switch (args[i])
                {
                    case "--file" when i + 1 < args.Length: file = args[++i]; break;
                    case "--workers" when i + 1 < args.Length && int.TryParse(args[i + 1], out workers) && workers > 0: i++; break;
                    case "--metrics" when i + 1 < args.Length && int.TryParse(args[i + 1], out port) && port > 0: i++; break;
                    default:
                        if (args[i].StartsWith('-') || folder.Length > 0) return null;
                        folder = args[i];
                        break;
                }
            }
            return folder.Length == 0 || file.Length == 0 ? null : new Options(folder, file, workers, port);
        }

        public static int Usage()
        {
            Console.Error.WriteLine(
                """
                Loads plug-ins (*.bpf.o, completion hooks) from a folder while it runs, and gives each the blocks of a file to look
                at. Copy an object into the folder to add it, over another to replace it, remove it to detach it. Ctrl+C stops.

                --metrics serves http://127.0.0.1:PORT/metrics and /health.

                usage: EmbeddedPlugins PLUGIN_FOLDER --file PATH [--workers N] [--metrics PORT]
                """);
            return 2;
        }
    }
}
